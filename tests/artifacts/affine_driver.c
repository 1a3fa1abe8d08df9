/* Runs the model "affine" in many ways; prints y for x = 0, 1/8, 2/8, ... as hexadecimal floats. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "affine.h"

#define COUNT 1000

static int allocations;

#ifdef COUNT_ALLOCATIONS
void *__libc_malloc(size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
int posix_memalign(void **result, size_t alignment, size_t size) {
  ++allocations;
  *result = __libc_memalign(alignment, size);
  return *result == NULL;
}
#endif

static void check(int ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
  }
}

static float x[COUNT], expected[COUNT];

static void *call_often(void *seed) {
  float mine[COUNT], y[COUNT], want[COUNT];
  void *workspace = NULL;
  affine_inputs inputs;
  affine_outputs outputs;
  int i, shift = *(int *)seed;
  check(posix_memalign(&workspace, 64, affine_workspace_size()) == 0, "workspace");
  for (i = 0; i < COUNT; ++i) mine[i] = x[(i + shift) % COUNT];
  inputs.x_0 = mine;
  outputs.dense_y = want;
  check(affine_run(&inputs, &outputs, workspace, 1) == 0, "first run");
  outputs.dense_y = y;
  for (i = 0; i < 300; ++i) {
    memset(y, 0, sizeof y);
    check(affine_run(&inputs, &outputs, workspace, 1 + i % 3) == 0, "run");
    check(memcmp(y, want, sizeof y) == 0, "concurrent answers");
  }
  free(workspace);
  return NULL;
}

int main(int argc, char **argv) {
  float y[COUNT];
  char *workspace = NULL;
  affine_inputs inputs;
  affine_outputs outputs;
  pthread_t threads[2];
  int seeds[2] = {1, 17}, i, before;

  inputs.x_0 = x;
  outputs.dense_y = expected;
  for (i = 0; i < COUNT; ++i) x[i] = (float)i / 8;
#ifdef SIDE_FILE
  check(argc == 2, "usage");
  check(affine_run(&inputs, &outputs, NULL, 1) == AFFINE_WEIGHTS_NOT_LOADED, "not loaded");
  check(affine_load_weights("/does/not/exist") == AFFINE_WEIGHTS_UNREADABLE, "unreadable");
  check(affine_load_weights(NULL) == AFFINE_NULL_ARGUMENT, "null path");
  check(affine_load_weights(argv[0]) == AFFINE_WEIGHTS_MISMATCH, "mismatch");
  check(affine_load_weights(argv[1]) == AFFINE_OK, "load");
  check(affine_load_weights(argv[1]) == AFFINE_OK, "load again");
#else
  (void)argc;
  (void)argv;
#endif
  check(affine_run(&inputs, &outputs, NULL, 1) == AFFINE_OK, "own workspace");

  check(affine_workspace_size() == AFFINE_WORKSPACE_BYTES, "workspace size");
  check(posix_memalign((void **)&workspace, 64, AFFINE_WORKSPACE_BYTES + 64) == 0, "workspace");
  outputs.dense_y = y;
  for (i = 0; i <= 5; ++i) {
    memset(y, 0, sizeof y);
    check(affine_run(&inputs, &outputs, workspace, i) == AFFINE_OK, "run");
    check(memcmp(y, expected, sizeof y) == 0, "every number of threads");
  }
  before = allocations;
  for (i = 0; i < 100; ++i) check(affine_run(&inputs, &outputs, workspace, i % 5) == 0, "run");
  check(allocations == before, "no allocation with the caller's workspace");
#ifdef COUNT_ALLOCATIONS
  check(affine_run(&inputs, &outputs, NULL, 1) == 0 && allocations == before + 1, "counting");
#endif

  check(affine_run(NULL, &outputs, workspace, 1) == AFFINE_NULL_ARGUMENT, "null inputs");
  check(affine_run(&inputs, NULL, workspace, 1) == AFFINE_NULL_ARGUMENT, "null outputs");
  inputs.x_0 = NULL;
  check(affine_run(&inputs, &outputs, workspace, 1) == AFFINE_NULL_ARGUMENT, "null input");
  inputs.x_0 = x;
  outputs.dense_y = NULL;
  check(affine_run(&inputs, &outputs, workspace, 1) == AFFINE_NULL_ARGUMENT, "null output");
  outputs.dense_y = y;
  check(affine_run(&inputs, &outputs, workspace + 4, 1) == AFFINE_MISALIGNED_WORKSPACE, "aligned");
  x[0] = -1;
  check(affine_run(&inputs, &outputs, NULL, 1) == 77, "the body's status");
  x[0] = 0;
  check(strcmp(affine_error(0), "success") == 0, "error text");
  check(strstr(affine_error(AFFINE_NULL_ARGUMENT), "NULL") != NULL, "error text");
  check(affine_error(-5) != NULL && affine_error(77) != NULL, "error text");

  check(strcmp(affine_input_info[0].name, "x:0") == 0, "info name");
  check(strcmp(affine_output_info[0].dtype, "f32") == 0, "info dtype");
  check(affine_input_info[0].rank == 1 && affine_input_info[0].shape[0] == COUNT, "info shape");
  check(affine_output_info[0].bytes == sizeof y && affine_output_info[0].alias == -1, "info");
  check(strstr(affine_manifest, "\"model\":\"affine\"") != NULL, "manifest");
  check(affine_thread_count(3) == 3 && affine_thread_count(0) >= 1, "thread count");

  for (i = 0; i < 2; ++i) check(!pthread_create(&threads[i], NULL, call_often, &seeds[i]), "thread");
  for (i = 0; i < 2; ++i) check(!pthread_join(threads[i], NULL), "join");
  for (i = 0; i < COUNT; ++i) printf("%a\n", (double)expected[i]);
  free(workspace);
#ifdef SIDE_FILE
  affine_unload_weights();
  check(affine_run(&inputs, &outputs, NULL, 1) == AFFINE_WEIGHTS_NOT_LOADED, "unloaded");
#endif
  return 0;
}
