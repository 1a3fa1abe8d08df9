/* Two artifacts in one program, and state that is updated in place or elsewhere. */
#include <stdio.h>
#include <string.h>

#include "affine.h"
#include "counter.h"

int main(void) {
  static float x[1000], y[1000];
  int64_t add[4] = {1, 2, 3, 4}, state[4] = {0, 0, 0, 0}, other[4], twice[4];
  affine_inputs inputs = {x};
  affine_outputs outputs = {y};
  counter_inputs counter_in;
  counter_outputs counter_out;
  int i;
  counter_in.x = add;
  counter_in.state = state;
  counter_out.next = state;
  counter_out.twice = twice;
  for (i = 0; i < 3; ++i) {
    if (counter_run(&counter_in, &counter_out, NULL, 0) != COUNTER_OK) return 1;
    if (affine_run(&inputs, &outputs, NULL, 2) != AFFINE_OK) return 2;
  }
  if (state[0] != 3 || state[3] != 12 || twice[3] != 8) return 3;
  counter_out.next = other;
  if (counter_run(&counter_in, &counter_out, NULL, 1) != COUNTER_OK) return 4;
  if (state[3] != 12 || other[3] != 16) return 5;
  if (counter_output_info[0].alias != 1 || counter_workspace_size() != 0) return 6;
  puts("right");
  return 0;
}
