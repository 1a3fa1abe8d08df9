/* Trains "net" at each level that runs here with the program's own threads and memory. Prints the
 * status of the self-test and of selecting each level, the loss of two steps, and what was used. */
#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

typedef struct {
  int loops, taken, given;
} counts;

static void share(void *user, void (*task)(void *, int64_t, int64_t), void *context, int64_t count,
                  int32_t threads) {
  int64_t i;
  (void)threads;
  ((counts *)user)->loops++;
  for (i = count; i > 0; i--) task(context, i - 1, i);
}

static void *take(void *user, size_t size, size_t alignment) {
  void *memory = NULL;
  ((counts *)user)->taken++;
  return posix_memalign(&memory, alignment, size) ? NULL : memory;
}

static void give(void *user, void *memory) {
  ((counts *)user)->given++;
  free(memory);
}

int main(int argc, char **argv) {
  static float x[4 * 6], y[4 * 3], z[4 * 3];
  static const int64_t labels[4] = {0, 1, 2, 1};
  counts seen = {0, 0, 0};
  net_runtime own;
  net_train_inputs inputs;
  net_train_outputs outputs;
  net_predict_inputs predict_inputs;
  net_predict_outputs predict_outputs;
  float loss = 0;
  void *state = malloc(net_state_size());
  int level, i;
  if (argc != 2 || !state || net_state_size() != NET_STATE_BYTES) return 1;
  own.user = &seen;
  own.parallel_for = share;
  own.allocate = take;
  own.release = give;
  inputs.input = x;
  inputs.labels = labels;
  outputs.loss = &loss;
  predict_inputs.input = x;
  predict_outputs.output = y;
  for (i = 0; i < 4 * 6; i++) x[i] = (float)(i % 7) / 7 - 0.4f;
  for (level = 2; level <= 4; level++) {
    int status = net_select(level);
    printf("level %d: %d", level, status);
    if (!status) {
      printf(", is %d, self-test %d", net_level(), net_self_test(2));
      if (net_init(state)) return 2;
      for (i = 0; i < 2; i++) {
        if (net_train_step_with(state, &inputs, &outputs, NULL, 2, &own)) return 3;
        printf(" %.4f", loss);
      }
    }
    printf("\n");
  }
  if (net_predict_with(state, &predict_inputs, &predict_outputs, NULL, 1, &own)) return 4;
  if (net_save(state, argv[1]) || net_init(state) || net_load(state, argv[1])) return 5;
  predict_outputs.output = z;
  if (net_predict(state, &predict_inputs, &predict_outputs, NULL, 3)) return 6;
  printf("equal %d, taken %d, given back %d\n", memcmp(y, z, sizeof y) == 0, seen.taken > 0,
         seen.taken == seen.given);
  printf("%s\n", net_error(net_load(state, "/nowhere")));
  free(state);
  return 0;
}
