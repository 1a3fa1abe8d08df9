/* x, a model that is trained, compiled by TensorKiln 0.1.0 for x86_64-unknown-linux-gnu.
 * Link with -lm -lpthread. Tensors are dense, row-major, outermost dimension first. */
#ifndef X_H
#define X_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define X_STATE_BYTES 320
#define X_STATE_COUNT 4
#define X_TRAIN_INPUT_COUNT 2
#define X_TRAIN_OUTPUT_COUNT 1
#define X_PREDICT_INPUT_COUNT 1
#define X_PREDICT_OUTPUT_COUNT 1
#define X_WORKSPACE_BYTES 576

#define X_OK 0 /* success */
#define X_NULL_ARGUMENT 1 /* a pointer is NULL */
#define X_MISALIGNED_WORKSPACE 2 /* the workspace does not start at a multiple of 64 bytes */
#define X_OUT_OF_MEMORY 3 /* the workspace cannot be allocated */
#define X_WEIGHTS_NOT_LOADED 4 /* the weights file has not been loaded */
#define X_WEIGHTS_UNREADABLE 5 /* the weights file cannot be opened or mapped */
#define X_WEIGHTS_MISMATCH 6 /* the weights file is not the one that was written with this artifact */
#define X_UNSUPPORTED_PROCESSOR 7 /* the processor lacks the instructions that the code needs */
#define X_SELF_TEST_FAILED 8 /* an output of the self-test is not what it was when the artifact was made */
#define X_STATE_UNWRITABLE 9 /* the file of the state cannot be written */
#define X_STATE_UNREADABLE 10 /* the file of the state cannot be read */
#define X_STATE_MISMATCH 11 /* the file is not a state of this model, or it is damaged */

typedef struct {
  const float *input; /* input: f32[3,4], 48 bytes */
  const float *targets; /* targets: f32[3,2], 24 bytes */
} x_train_inputs;

typedef struct {
  float *loss; /* loss: f32[], 4 bytes */
} x_train_outputs;

typedef struct {
  const float *input; /* input: f32[3,4], 48 bytes */
} x_predict_inputs;

typedef struct {
  float *output; /* output: f32[3,2], 24 bytes */
} x_predict_outputs;

/* All that training changes: parameters, and what the optimizer keeps of them. It is one
 * block of X_STATE_BYTES bytes of the program's, aligned as malloc does;
 * x_state_info tells what is in it, each tensor at the next multiple of 64. */
size_t x_state_size(void);

/* Gives the state its initial values; 0 or a status. */
int32_t x_init(void *state);

/* Writes the state to a file, whole or not at all, and reads it back; 0 or a status. Only a
 * state of the same tensors is read; after an error the state is as before. */
int32_t x_save(const void *state, const char *path);
int32_t x_load(void *state, const char *path);

/* The program's own threads and memory for a call; each function may be NULL, which means
 * the built-in one. `parallel_for` calls task(context, begin, end) on ranges that do not
 * overlap and together are 0 to count, on at most about `threads` threads, and returns when
 * all have returned. `allocate` gives `size` bytes at a multiple of `alignment`, or NULL;
 * `release` takes them back. Results do not depend on how the ranges are cut. */
typedef struct {
  void *user; /* the first argument of the functions */
  void (*parallel_for)(void *user, void (*task)(void *context, int64_t begin, int64_t end),
      void *context, int64_t count, int32_t threads);
  void *(*allocate)(void *user, size_t size, size_t alignment);
  void (*release)(void *user, void *memory);
} x_runtime;

/* One step of training, which updates the state in place; 0 or a status. One thread at a
 * time may train a state. `workspace` holds at least X_WORKSPACE_BYTES bytes, starts at a
 * multiple of 64, and is used by one call at a time; with NULL the call allocates one and
 * frees it. With a workspace a call allocates nothing, except that threads are made when
 * they are first used. `threads` 0 means one for each processor that the process may use.
 * Results do not depend on it. */
int32_t x_train_step(
    void *state,
    const x_train_inputs *inputs,
    const x_train_outputs *outputs,
    void *workspace, int32_t threads);

/* x_train_step with the program's own threads and memory; NULL for the built-in ones. */
int32_t x_train_step_with(
    void *state,
    const x_train_inputs *inputs,
    const x_train_outputs *outputs,
    void *workspace, int32_t threads, const x_runtime *runtime);

/* The model's outputs with the state as it is; 0 or a status. Any number of threads may
 * predict at once while none trains. `workspace` holds at least X_WORKSPACE_BYTES bytes,
 * starts at a multiple of 64, and is used by one call at a time; with NULL the call
 * allocates one and frees it. With a workspace a call allocates nothing, except that threads
 * are made when they are first used. `threads` 0 means one for each processor that the
 * process may use. Results do not depend on it. */
int32_t x_predict(
    const void *state,
    const x_predict_inputs *inputs,
    const x_predict_outputs *outputs,
    void *workspace, int32_t threads);

/* x_predict with the program's own threads and memory; NULL for the built-in ones. */
int32_t x_predict_with(
    const void *state,
    const x_predict_inputs *inputs,
    const x_predict_outputs *outputs,
    void *workspace, int32_t threads, const x_runtime *runtime);

/* X_WORKSPACE_BYTES of the library that is linked or loaded. */
size_t x_workspace_size(void);

/* How many threads a call with this `threads` may use: 0 is resolved by the affinity and
 * the control group of the process. */
int32_t x_thread_count(int32_t requested);

/* What a status means, in English; never NULL. */
const char *x_error(int32_t status);

/* Maps the weights file (x.weights) into memory; 0 or a status. Call it once
 * before x_init and the first step; later calls do nothing. */
int32_t x_load_weights(const char *path);

/* Unmaps the weights; no call may be running. */
void x_unload_weights(void);

typedef struct {
  const char *name;     /* the model's own name of the tensor, UTF-8 */
  const char *dtype;    /* "f32", "i64", "bool", ... */
  const int64_t *shape; /* `rank` dimensions */
  size_t bytes;
  int32_t rank;
  int32_t alias;        /* an output's input that may be the same buffer, or -1 */
} x_tensor;

extern const x_tensor x_train_input_info[2];
extern const x_tensor x_train_output_info[1];
extern const x_tensor x_predict_input_info[1];
extern const x_tensor x_predict_output_info[1];
extern const x_tensor x_state_info[4];

/* Everything known of the model, as JSON. */
extern const char x_manifest[];

#ifdef __cplusplus
}
#endif

#endif /* X_H */
