/* Runs the network on 12 numbers from -1 to 1 and prints its answers exactly. */
#include "net.h"
#include <stdio.h>

int main(void) {
  float x[12], y[6];
  /* in double precision, as numpy's linspace computes them */
  for (int i = 0; i < 12; ++i) x[i] = (float)(-1.0 + i * (2.0 / 11.0));
  net_inputs inputs = {0};
  net_outputs outputs = {0};
  inputs.input = x;
  outputs.output = y;
  int status = net_run(&inputs, &outputs, NULL, 2);
  if (status) {
    fprintf(stderr, "%s\n", net_error(status));
    return 1;
  }
  for (int i = 0; i < 6; ++i) printf("%a\n", y[i]);
  return 0;
}
