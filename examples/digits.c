/* Classifies images with the network in network.so: prints the digit that each image shows.
 *
 * usage: digits images.f32
 * The file holds as many images of 8x8 floats as the network takes at once. */
#include <stdio.h>
#include <stdlib.h>

#include "network.h"

int main(int argc, char **argv) {
  const size_t image_bytes = network_input_info[0].bytes;
  const size_t count = (size_t)network_output_info[0].shape[0];
  const size_t classes = (size_t)network_output_info[0].shape[1];
  float *images = malloc(image_bytes);
  float *logits = malloc(network_output_info[0].bytes);
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (!images || !logits || !file || fread(images, 1, image_bytes, file) != image_bytes) {
    fprintf(stderr, "usage: digits images.f32, a file of %zu bytes\n", image_bytes);
    return 1;
  }
  fclose(file);

  network_inputs inputs = {.images = images};
  network_outputs outputs = {.logits = logits};
  int status = network_run(&inputs, &outputs, NULL, 0); /* own workspace, all processors */
  if (status != NETWORK_OK) {
    fprintf(stderr, "%s\n", network_error(status));
    return 1;
  }
  for (size_t i = 0; i < count; ++i) {
    const float *row = logits + i * classes;
    size_t best = 0;
    for (size_t k = 1; k < classes; ++k)
      if (row[k] > row[best]) best = k;
    printf("%zu\n", best);
  }
  free(images);
  free(logits);
  return 0;
}
