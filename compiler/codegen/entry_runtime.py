"""The program's own threads and memory for one call, as LLVM IR.

The bodies' parallel loops go to `tk_share`, which finds the call's runtime under a key of pthreads.
(A thread-local variable would make shared objects depend on the dynamic linker by name.) `@take`
and `@give` are the call's memory.
"""

from __future__ import annotations

# user, parallel_for, allocate, release: the order of the fields of P_runtime
RUNTIME_TEXT = """
%runtime = type { ptr, ptr, ptr, ptr }
; 1 once there is a key, which is made when a runtime is first given
@keyed = internal global i32 0
@key = internal global i32 0
@once = internal global i32 0
declare void @tk_parallel_for(ptr, ptr, i64, i32)
declare i32 @pthread_once(ptr, ptr)
declare i32 @pthread_key_create(ptr, ptr)
declare i32 @pthread_key_delete(i32)
declare ptr @pthread_getspecific(i32)
declare i32 @pthread_setspecific(i32, ptr)

define internal void @make_key() {
entry:
  %status = call i32 @pthread_key_create(ptr @key, ptr null)
  %made = icmp eq i32 %status, 0
  br i1 %made, label %tell, label %exit
tell:
  store atomic i32 1, ptr @keyed release, align 4
  br label %exit
exit:
  ret void
}

define internal void @drop_key() {
entry:
  %made = load atomic i32, ptr @keyed acquire, align 4
  %some = icmp ne i32 %made, 0
  br i1 %some, label %drop, label %exit
drop:
  %key = load i32, ptr @key
  call i32 @pthread_key_delete(i32 %key)
  br label %exit
exit:
  ret void
}

; The runtime of the run that this thread is in, or null.
define internal ptr @current() {
entry:
  %made = load atomic i32, ptr @keyed acquire, align 4
  %none = icmp eq i32 %made, 0
  br i1 %none, label %nothing, label %look
nothing:
  ret ptr null
look:
  %key = load i32, ptr @key
  %runtime = call ptr @pthread_getspecific(i32 %key)
  ret ptr %runtime
}

; Makes %runtime the current one; the one before. Without a key to be had, the built-in pool stays.
define internal ptr @enter(ptr %runtime) {
entry:
  %before = call ptr @current()
  %same = icmp eq ptr %before, %runtime
  br i1 %same, label %exit, label %change
change:
  call i32 @pthread_once(ptr @once, ptr @make_key)
  %made = load atomic i32, ptr @keyed acquire, align 4
  %some = icmp ne i32 %made, 0
  br i1 %some, label %set, label %exit
set:
  %key = load i32, ptr @key
  call i32 @pthread_setspecific(i32 %key, ptr %runtime)
  br label %exit
exit:
  ret ptr %before
}

define hidden void @tk_share(ptr %fn, ptr %context, i64 %count, i32 %threads) {
entry:
  %runtime = call ptr @current()
  %none = icmp eq ptr %runtime, null
  br i1 %none, label %ours, label %look
look:
  %share.at = getelementptr %runtime, ptr %runtime, i32 0, i32 1
  %share = load ptr, ptr %share.at
  %missing = icmp eq ptr %share, null
  br i1 %missing, label %ours, label %theirs
theirs:
  %user = load ptr, ptr %runtime
  %alone = icmp sle i64 %count, 1
  %single = icmp eq i32 %threads, 1
  %serial = or i1 %alone, %single
  br i1 %serial, label %here, label %ask
here:
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %whole, label %exit
whole:
  call void %fn(ptr %context, i64 0, i64 %count)
  br label %exit
ask:
  call void %share(ptr %user, ptr %fn, ptr %context, i64 %count, i32 %threads)
  br label %exit
ours:
  call void @tk_parallel_for(ptr %fn, ptr %context, i64 %count, i32 %threads)
  br label %exit
exit:
  ret void
}

; The call's memory: the runtime's if it has any, else the C library's; null if there is none.
define internal ptr @take(ptr %runtime, i64 %size) {
entry:
  %slot = alloca ptr
  store ptr null, ptr %slot
  %none = icmp eq ptr %runtime, null
  br i1 %none, label %ours, label %look
look:
  %allocate.at = getelementptr %runtime, ptr %runtime, i32 0, i32 2
  %allocate = load ptr, ptr %allocate.at
  %missing = icmp eq ptr %allocate, null
  br i1 %missing, label %ours, label %theirs
theirs:
  %user = load ptr, ptr %runtime
  %given = call ptr %allocate(ptr %user, i64 %size, i64 64)
  ret ptr %given
ours:
  %refused = call i32 @posix_memalign(ptr %slot, i64 64, i64 %size)
  %made = load ptr, ptr %slot
  %failed = icmp ne i32 %refused, 0
  %result = select i1 %failed, ptr null, ptr %made
  ret ptr %result
}

define internal void @give(ptr %runtime, ptr %memory) {
entry:
  %none = icmp eq ptr %runtime, null
  br i1 %none, label %ours, label %look
look:
  %allocate.at = getelementptr %runtime, ptr %runtime, i32 0, i32 2
  %allocate = load ptr, ptr %allocate.at
  %missing = icmp eq ptr %allocate, null
  br i1 %missing, label %ours, label %theirs
theirs:
  %release.at = getelementptr %runtime, ptr %runtime, i32 0, i32 3
  %release = load ptr, ptr %release.at
  %keeps = icmp eq ptr %release, null
  br i1 %keeps, label %exit, label %hand
hand:
  %user = load ptr, ptr %runtime
  call void %release(ptr %user, ptr %memory)
  br label %exit
ours:
  call void @free(ptr %memory)
  br label %exit
exit:
  ret void
}
"""
