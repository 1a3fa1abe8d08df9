/* Runs a compiled body on arrays from a file and writes all arrays back: the harness of cross tests.
   File: counts of arrays, constants bytes, workspace bytes; sizes of arrays; the bytes of each. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int32_t tk_body(void **arrays, const void *constants, void *workspace, int32_t threads);

void tk_parallel_for(void (*part)(void *, int64_t, int64_t), void *context, int64_t count,
                     int32_t threads) {
  for (int64_t t = 0; t < threads; t++)
    part(context, count * t / threads, count * (t + 1) / threads);
}

static void *block(int64_t size) {
  return aligned_alloc(64, (size_t)((size + 128) / 64 * 64));
}

static void move(int writing, void *data, int64_t size, FILE *file) {
  size_t done = writing ? fwrite(data, 1, (size_t)size, file) : fread(data, 1, (size_t)size, file);
  if (done != (size_t)size) exit(3);
}

int main(int count, char **words) {
  int64_t sizes[3];
  if (count != 3) return 2;
  FILE *source = fopen(words[1], "rb");
  FILE *target = fopen(words[2], "wb");
  if (!source || !target) return 2;
  move(0, sizes, sizeof sizes, source);
  int64_t *bytes = block(sizes[0] * 8);
  move(0, bytes, sizes[0] * 8, source);
  void **arrays = block(sizes[0] * 8);
  for (int64_t k = 0; k < sizes[0]; k++) {
    arrays[k] = block(bytes[k]);
    move(0, arrays[k], bytes[k], source);
  }
  void *constants = block(sizes[1]);
  move(0, constants, sizes[1], source);
  int32_t status = tk_body(arrays, constants, block(sizes[2]), 3);
  for (int64_t k = 0; k < sizes[0]; k++) move(1, arrays[k], bytes[k], target);
  return fclose(target) || status;
}
