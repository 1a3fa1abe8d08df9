/* Trains the network in trainer.so on scanned digits, and tells how many held-out ones it gets right.
 *
 * usage: train_digits images.f32 labels.i64 epochs state.bin
 * The files hold images of 8x8 floats and their digits; the last fifth is held out. If state.bin is
 * there, training goes on from it; at the end it has the new state. */
#include <stdio.h>
#include <stdlib.h>

#include "trainer.h"

enum { BATCH = 64, PIXELS = 64, CLASSES = 10 };

static void *read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  void *data = NULL;
  if (!file) return NULL;
  if (!fseek(file, 0, SEEK_END)) {
    long size = ftell(file);
    rewind(file);
    data = malloc(size > 0 ? (size_t)size : 1);
    *bytes = data && size > 0 ? fread(data, 1, (size_t)size, file) : 0;
  }
  fclose(file);
  return data;
}

static int failed(int status) {
  if (status) fprintf(stderr, "%s\n", trainer_error(status));
  return status;
}

/* How many of the images from `first` on, in whole batches, are classified as they should be. */
static int right(const void *state, const float *images, const int64_t *labels, size_t first,
                 size_t count, size_t *tried) {
  static float logits[BATCH * CLASSES];
  int hits = 0;
  *tried = 0;
  for (size_t start = first; start + BATCH <= count; start += BATCH) {
    trainer_predict_inputs inputs = {.images = images + start * PIXELS};
    trainer_predict_outputs outputs = {.logits = logits};
    if (failed(trainer_predict(state, &inputs, &outputs, NULL, 0))) return -1;
    for (size_t i = 0; i < BATCH; ++i) {
      size_t best = 0;
      for (size_t k = 1; k < CLASSES; ++k)
        if (logits[i * CLASSES + k] > logits[i * CLASSES + best]) best = k;
      hits += (int64_t)best == labels[start + i];
    }
    *tried += BATCH;
  }
  return hits;
}

int main(int argc, char **argv) {
  size_t image_bytes = 0, label_bytes = 0, tried = 0;
  if (argc != 5) {
    fprintf(stderr, "usage: train_digits images.f32 labels.i64 epochs state.bin\n");
    return 2;
  }
  float *images = read_file(argv[1], &image_bytes);
  int64_t *labels = read_file(argv[2], &label_bytes);
  void *state = malloc(trainer_state_size());
  size_t count = label_bytes / sizeof *labels, split = count / 5 * 4;
  if (!images || !labels || !state || image_bytes < count * PIXELS * sizeof *images) {
    fprintf(stderr, "the data cannot be read\n");
    return 1;
  }
  if (trainer_load(state, argv[4]) == TRAINER_OK)
    printf("going on from %s\n", argv[4]);
  else if (failed(trainer_init(state)))
    return 1;

  int epochs = atoi(argv[3]);
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    double sum = 0;
    size_t steps = 0;
    for (size_t start = 0; start + BATCH <= split; start += BATCH, ++steps) {
      float loss;
      trainer_train_inputs inputs = {.images = images + start * PIXELS, .labels = labels + start};
      trainer_train_outputs outputs = {.loss = &loss};
      if (failed(trainer_train_step(state, &inputs, &outputs, NULL, 0))) return 1;
      sum += loss;
    }
    printf("epoch %d loss %.6f\n", epoch, sum / (double)(steps ? steps : 1));
  }
  int hits = right(state, images, labels, split, count, &tried);
  if (hits < 0) return 1;
  printf("right %d of %zu\n", hits, tried);
  if (failed(trainer_save(state, argv[4]))) return 1;
  free(images);
  free(labels);
  free(state);
  return 0;
}
