/* Trains "net", whose initial state and constants are in the file named by the argument. Prints what
 * is said before the file is there, the status of the self-test, and the loss of two steps. */
#include <stdio.h>
#include <stdlib.h>

#include "net.h"

int main(int argc, char **argv) {
  static float x[4 * 6], y[4 * 3];
  static const int64_t labels[4] = {0, 1, 2, 1};
  net_train_inputs inputs;
  net_train_outputs outputs;
  net_predict_inputs predict_inputs;
  net_predict_outputs predict_outputs;
  float loss = 0;
  void *state = malloc(net_state_size());
  int i;
  if (argc != 2 || !state) return 1;
  inputs.input = x;
  inputs.labels = labels;
  outputs.loss = &loss;
  predict_inputs.input = x;
  predict_outputs.output = y;
  for (i = 0; i < 4 * 6; i++) x[i] = (float)(i % 7) / 7 - 0.4f;
  printf("%s\n", net_error(net_init(state)));
  printf("%s\n", net_error(net_self_test(1)));
  printf("%s\n", net_error(net_load_weights("/nowhere")));
  if (net_load_weights(argv[1]) || net_load_weights(argv[1])) return 2;
  printf("self-test %d\n", net_self_test(2));
  if (net_init(state)) return 3;
  for (i = 0; i < 2; i++) {
    if (net_train_step(state, &inputs, &outputs, NULL, 2)) return 4;
    printf("%.6f\n", loss);
  }
  if (net_predict(state, &predict_inputs, &predict_outputs, NULL, 2)) return 5;
  printf("%.6f\n", y[0]);
  net_unload_weights();
  printf("%d\n", net_init(state));
  free(state);
  return 0;
}
