/* Tries every level of a model compiled as "net" with --isa and --self-test, and a run with the
 * program's own threads and memory. Prints what it finds. */
#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

typedef struct {
  int loops, ranges, taken, given;
  size_t bytes;
} counts;

/* Runs the ranges in a row, backwards and unevenly. */
static void share(void *user, void (*task)(void *, int64_t, int64_t), void *context, int64_t count,
                  int32_t threads) {
  counts *seen = user;
  int64_t end = count;
  (void)threads;
  seen->loops++;
  while (end > 0) {
    int64_t begin = end > 3 ? end - 3 : 0;
    task(context, begin, end);
    seen->ranges++;
    end = begin;
  }
}

static void *take(void *user, size_t size, size_t alignment) {
  counts *seen = user;
  void *memory = NULL;
  seen->taken++;
  seen->bytes = size;
  return posix_memalign(&memory, alignment, size) ? NULL : memory;
}

static void *refuse(void *user, size_t size, size_t alignment) {
  (void)user;
  (void)size;
  (void)alignment;
  return NULL;
}

static void give(void *user, void *memory) {
  ((counts *)user)->given++;
  free(memory);
}

int main(void) {
  static float x[1 << 20], y[1 << 20], z[1 << 20];
  net_inputs inputs = {x};
  net_outputs first = {y}, second = {z};
  counts seen = {0, 0, 0, 0, 0};
  net_runtime own = {&seen, share, take, give};
  net_runtime poor = {&seen, NULL, refuse, give};
  size_t bytes = net_output_info[0].bytes;
  int level;
  for (size_t i = 0; i < net_input_info[0].bytes / sizeof *x; i++) x[i] = (float)(i % 7) - 3.0f;
  printf("level %d\n", net_level());
  for (level = 0; level <= 5; level++) {
    int status = net_select(level);
    printf("select %d: %d", level, status);
    if (!status) printf(", level %d, self-test %d", net_level(), net_self_test(2));
    printf("\n");
  }
  net_select(0);
  if (net_run(&inputs, &first, NULL, 1)) return 1;
  if (net_run_with(&inputs, &second, NULL, 4, &own)) return 2;
  printf("equal %d\n", memcmp(y, z, bytes) == 0);
  printf("loops %d, ranges %d, taken %d, given %d, workspace %d\n", seen.loops > 0,
         seen.ranges > seen.loops, seen.taken, seen.given, seen.bytes == net_workspace_size());
  printf("refused: %s\n", net_error(net_run_with(&inputs, &second, NULL, 1, &poor)));
  memset(z, 0, bytes);
  if (net_run_with(&inputs, &second, NULL, 3, NULL)) return 3;
  printf("equal %d\n", memcmp(y, z, bytes) == 0);
  return 0;
}
