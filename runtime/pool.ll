; The thread pool of compiled code, in LLVM IR because it goes into artifacts that may need no
; compiler but ours. It uses libc and pthreads only, and holds for every 64-bit Linux target.
;
;   void tk_parallel_for(ptr fn, ptr context, i64 count, i32 threads)
;       Calls fn(context, begin, end) on disjoint ranges that cover 0..count, and returns when all
;       have returned. Of T threads there are C = 4*T ranges, or count if that is less; range c is
;       [count*c/C, count*(c+1)/C). Thread t (the caller is 0) begins with range C*t/T and goes on
;       with those that follow, round and round, until all are taken; each is taken once. So a
;       thread mostly works where it worked before, and one that wakes late or is held up by another
;       program's load keeps nobody waiting for work that has not begun.
;       T is at most 256 and at most count. threads <= 0 means tk_thread_count(0).
;       While another call holds the pool, inside a parallel range, or when no thread can be made,
;       the caller runs the whole of 0..count itself.
;   i32 tk_thread_count(i32 requested)
;       requested, at most 256; or, for requested <= 0, the number of processors this process may
;       use: the smaller of its affinity and its cgroup limit, rounded up. It is found once.
;   void tk_pool_shutdown()
;       Ends and joins the workers. They come back with the next parallel call.
;
; Waiting is done at gates. A gate holds a value; one thread waits until it changes, and does so by
; looking for @spin nanoseconds and sleeping on a condition variable after that, so idle workers
; cost nothing. Whoever opens a gate stores the value and then looks whether somebody sleeps; whoever
; goes to sleep says so and then looks at the value. Both are sequentially consistent, so one of them
; sees the other.
;
; pool.py appends @tk_pause, the processor's hint that a loop is waiting.

; value, sleeping, padding to a cache line, pthread_mutex_t, pthread_cond_t. Zeroed memory is an
; initialised mutex or condition in glibc and in musl; neither is larger than 48 bytes.
%gate = type { i64, i64, [6 x i64], [8 x i64], [8 x i64] }
; gate, index of the worker (1..255), pthread_t, padding
%worker = type { %gate, i64, i64, [6 x i64] }
; fn, context, count
%job = type { ptr, ptr, i64 }

@workers = internal global [255 x %worker] zeroinitializer, align 64
@finish = internal global %gate zeroinitializer, align 64
; ranges of the job that have not returned
@pending = internal global i64 0, align 64
; ranges and threads of the job; a late worker of an earlier job may look at them at any time
@ranges = internal global i64 0, align 64
@threads = internal global i64 1
; 1 for a range that nobody has taken; 0 for all others, those beyond @ranges included
@free = internal global [1024 x i32] zeroinitializer, align 64
@job = internal global %job zeroinitializer, align 64
@running = internal global i64 0
@ticket = internal global i64 0
@spin = internal global i64 0
@owned = internal global i32 0
@process = internal global i32 0
@default_threads = internal global i32 0

@read = private unnamed_addr constant [2 x i8] c"r\00"
@two_numbers = private unnamed_addr constant [8 x i8] c"%ld %ld\00"
@unified_path = private unnamed_addr constant [9 x i8] c"0::%511s\00"
@own_cgroup = private unnamed_addr constant [18 x i8] c"/proc/self/cgroup\00"
@unified_limit = private unnamed_addr constant [25 x i8] c"/sys/fs/cgroup%s/cpu.max\00"
@quota_file = private unnamed_addr constant [36 x i8] c"/sys/fs/cgroup/cpu/cpu.cfs_quota_us\00"
@period_file = private unnamed_addr constant [37 x i8] c"/sys/fs/cgroup/cpu/cpu.cfs_period_us\00"

declare i32 @getpid()
declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_attr_init(ptr)
declare i32 @pthread_attr_setstacksize(ptr, i64)
declare i32 @pthread_attr_destroy(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare ptr @fopen(ptr, ptr)
declare i32 @fclose(ptr)
declare i32 @fscanf(ptr, ptr, ...)
declare i32 @snprintf(ptr, i64, ptr, ...)
declare ptr @strrchr(ptr, i32)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @llvm.ctpop.i64(i64)
declare i64 @llvm.smin.i64(i64, i64)
declare i32 @llvm.smin.i32(i32, i32)

; ---------------------------------------------------------------------------------------- gates

define internal i64 @now() {
  %time = alloca { i64, i64 }, align 8
  call i32 @clock_gettime(i32 1, ptr %time) ; CLOCK_MONOTONIC
  %seconds = load i64, ptr %time
  %fraction.at = getelementptr { i64, i64 }, ptr %time, i32 0, i32 1
  %fraction = load i64, ptr %fraction.at
  %whole = mul i64 %seconds, 1000000000
  %nanoseconds = add i64 %whole, %fraction
  ret i64 %nanoseconds
}

define internal void @open_gate(ptr %gate, i64 %value) {
entry:
  store atomic i64 %value, ptr %gate seq_cst, align 8
  %sleeping.at = getelementptr %gate, ptr %gate, i32 0, i32 1
  %sleeping = load atomic i64, ptr %sleeping.at seq_cst, align 8
  %asleep = icmp ne i64 %sleeping, 0
  br i1 %asleep, label %wake, label %exit
wake:
  ; the sleeper holds the mutex from its last look at the value until it waits
  %mutex = getelementptr %gate, ptr %gate, i32 0, i32 3
  %condition = getelementptr %gate, ptr %gate, i32 0, i32 4
  call i32 @pthread_mutex_lock(ptr %mutex)
  call i32 @pthread_cond_signal(ptr %condition)
  call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %exit
exit:
  ret void
}

; The gate's value once it is no longer %old.
define internal i64 @pass_gate(ptr %gate, i64 %old) {
entry:
  %budget = load atomic i64, ptr @spin monotonic, align 8
  %patient = icmp sgt i64 %budget, 0
  br i1 %patient, label %begin, label %sleep
begin:
  %start = call i64 @now()
  br label %look
look:
  %looks = phi i64 [ 0, %begin ], [ %looks.next, %again ], [ %looks.next, %clock ]
  %seen = load atomic i64, ptr %gate acquire, align 8
  %opened = icmp ne i64 %seen, %old
  br i1 %opened, label %passed, label %again
again:
  call void @tk_pause()
  %looks.next = add i64 %looks, 1
  %few = and i64 %looks.next, 31
  %time.to.check = icmp eq i64 %few, 0
  br i1 %time.to.check, label %clock, label %look
clock:
  %time = call i64 @now()
  %spent = sub i64 %time, %start
  %keep = icmp slt i64 %spent, %budget
  br i1 %keep, label %look, label %sleep
sleep:
  %sleeping.at = getelementptr %gate, ptr %gate, i32 0, i32 1
  %mutex = getelementptr %gate, ptr %gate, i32 0, i32 3
  %condition = getelementptr %gate, ptr %gate, i32 0, i32 4
  call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i64 1, ptr %sleeping.at seq_cst, align 8
  br label %check
check:
  %value = load atomic i64, ptr %gate seq_cst, align 8
  %changed = icmp ne i64 %value, %old
  br i1 %changed, label %awake, label %rest
rest:
  call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %check
awake:
  store atomic i64 0, ptr %sleeping.at seq_cst, align 8
  call i32 @pthread_mutex_unlock(ptr %mutex)
  ret i64 %value
passed:
  ret i64 %seen
}

; -------------------------------------------------------------------------------------- workers

define internal void @run_range(i64 %range) {
  %fn = load ptr, ptr @job
  %context.at = getelementptr %job, ptr @job, i32 0, i32 1
  %context = load ptr, ptr %context.at
  %count.at = getelementptr %job, ptr @job, i32 0, i32 2
  %count = load i64, ptr %count.at
  %ranges = load atomic i64, ptr @ranges monotonic, align 8
  %below = mul i64 %count, %range
  %begin = udiv i64 %below, %ranges
  %above = add i64 %below, %count
  %end = udiv i64 %above, %ranges
  call void %fn(ptr %context, i64 %begin, i64 %end)
  ret void
}

; Takes ranges and runs them until all are taken; whoever ends the last one opens the finish gate.
; A worker may come when its job is over and the next one has begun. What it read before it takes a
; range is then old, and only makes it look at fewer ranges or in another order: a range is taken
; by an exchange that acquires what was stored before it was made free, and the job of a range that
; was taken stays until the range is done.
define internal void @take_ranges(i64 %thread) {
entry:
  %ranges = load atomic i64, ptr @ranges monotonic, align 8
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %own = mul i64 %ranges, %thread
  %start = udiv i64 %own, %threads
  br label %check
check:
  %index = phi i64 [ 0, %entry ], [ %next, %following ]
  %more = icmp slt i64 %index, %ranges
  br i1 %more, label %look, label %exit
look:
  %ahead = add i64 %start, %index
  %range = urem i64 %ahead, %ranges
  %free.at = getelementptr [1024 x i32], ptr @free, i64 0, i64 %range
  %free = load atomic i32, ptr %free.at monotonic, align 4
  %untaken = icmp ne i32 %free, 0
  br i1 %untaken, label %take, label %following
take:
  %exchange = cmpxchg ptr %free.at, i32 1, i32 0 acquire monotonic
  %taken = extractvalue { i32, i1 } %exchange, 1
  br i1 %taken, label %run, label %following
run:
  call void @run_range(i64 %range)
  %before = atomicrmw sub ptr @pending, i64 1 seq_cst
  %is.last = icmp eq i64 %before, 1
  br i1 %is.last, label %last, label %following
last:
  ; the caller waits at the gate, so this is still the ticket of the job
  %ticket = load i64, ptr @ticket
  call void @open_gate(ptr @finish, i64 %ticket)
  br label %following
following:
  %next = add i64 %index, 1
  br label %check
exit:
  ret void
}

; A worker helps whenever its gate gets a new ticket, and ends at ticket -1.
define internal ptr @work(ptr %worker) {
entry:
  %index.at = getelementptr %worker, ptr %worker, i32 0, i32 1
  %index = load i64, ptr %index.at
  br label %wait
wait:
  %old = phi i64 [ 0, %entry ], [ %ticket, %help ]
  %ticket = call i64 @pass_gate(ptr %worker, i64 %old)
  %over = icmp eq i64 %ticket, -1
  br i1 %over, label %exit, label %help
help:
  call void @take_ranges(i64 %index)
  br label %wait
exit:
  ret ptr null
}

; Makes workers until there are %threads threads with the caller; the number there are, which is
; smaller when the system refuses. The caller holds the pool.
define internal i64 @grow(i64 %threads) {
entry:
  %ready = load i64, ptr @running
  %wanted = sub i64 %threads, 1
  %enough = icmp sge i64 %ready, %wanted
  br i1 %enough, label %done, label %prepare
prepare:
  ; 128 bytes hold a sigset_t, 64 a pthread_attr_t. Workers leave signals to the user's threads.
  %all = alloca [16 x i64], align 16
  %previous = alloca [16 x i64], align 16
  %attributes = alloca [16 x i64], align 16
  call i32 @sigfillset(ptr %all)
  call i32 @pthread_sigmask(i32 2, ptr %all, ptr %previous) ; SIG_SETMASK
  call i32 @pthread_attr_init(ptr %attributes)
  ; musl's default of 128 KiB is too small for kernels with local tiles
  call i32 @pthread_attr_setstacksize(ptr %attributes, i64 8388608)
  br label %make
make:
  %index = phi i64 [ %ready, %prepare ], [ %next, %made ]
  %worker = getelementptr [255 x %worker], ptr @workers, i64 0, i64 %index
  %next = add i64 %index, 1
  %index.at = getelementptr %worker, ptr %worker, i32 0, i32 1
  store i64 %next, ptr %index.at
  %thread.at = getelementptr %worker, ptr %worker, i32 0, i32 2
  %status = call i32 @pthread_create(ptr %thread.at, ptr %attributes, ptr @work, ptr %worker)
  %refused = icmp ne i32 %status, 0
  br i1 %refused, label %restore, label %made
made:
  store i64 %next, ptr @running
  %more = icmp slt i64 %next, %wanted
  br i1 %more, label %make, label %restore
restore:
  call i32 @pthread_attr_destroy(ptr %attributes)
  call i32 @pthread_sigmask(i32 2, ptr %previous, ptr null)
  br label %done
done:
  %have = load i64, ptr @running
  %with.caller = add i64 %have, 1
  %usable = call i64 @llvm.smin.i64(i64 %with.caller, i64 %threads)
  ret i64 %usable
}

; ----------------------------------------------------------------------------------------- pool

; True if the caller now holds the pool. In a process that was forked the parent's workers do not
; exist and the pool may look held for ever, so the first call there starts from nothing.
define internal i1 @acquire() {
entry:
  %self = call i32 @getpid()
  %process = load atomic i32, ptr @process acquire, align 4
  %same = icmp eq i32 %process, %self
  br i1 %same, label %take, label %other
other:
  %claimed = icmp eq i32 %process, -1
  br i1 %claimed, label %fail, label %claim
claim:
  %exchange = cmpxchg ptr @process, i32 %process, i32 -1 acquire monotonic
  %won = extractvalue { i32, i1 } %exchange, 1
  br i1 %won, label %reset, label %fail
reset:
  call void @llvm.memset.p0.i64(ptr align 64 @workers, i8 0, i64 65280, i1 false)
  call void @llvm.memset.p0.i64(ptr align 64 @finish, i8 0, i64 192, i1 false)
  store i64 0, ptr @running
  store i64 0, ptr @ticket
  store atomic i32 0, ptr @owned monotonic, align 4
  store atomic i32 %self, ptr @process release, align 4
  br label %take
take:
  %try = cmpxchg ptr @owned, i32 0, i32 1 acquire monotonic
  %taken = extractvalue { i32, i1 } %try, 1
  ret i1 %taken
fail:
  ret i1 false
}

define void @tk_parallel_for(ptr %fn, ptr %context, i64 %count, i32 %threads) {
entry:
  %resolved = call i32 @tk_thread_count(i32 %threads)
  %wide = sext i32 %resolved to i64
  %wanted = call i64 @llvm.smin.i64(i64 %wide, i64 %count)
  %alone = icmp slt i64 %wanted, 2
  br i1 %alone, label %serial, label %try
try:
  %mine = call i1 @acquire()
  br i1 %mine, label %gather, label %serial
gather:
  %have = call i64 @grow(i64 %wanted)
  %helped = icmp sgt i64 %have, 1
  br i1 %helped, label %share, label %give.up
share:
  store ptr %fn, ptr @job
  %context.at = getelementptr %job, ptr @job, i32 0, i32 1
  store ptr %context, ptr %context.at
  %count.at = getelementptr %job, ptr @job, i32 0, i32 2
  store i64 %count, ptr %count.at
  %most = shl i64 %have, 2
  %ranges = call i64 @llvm.smin.i64(i64 %most, i64 %count)
  store atomic i64 %ranges, ptr @ranges monotonic, align 8
  store atomic i64 %have, ptr @threads monotonic, align 8
  ; waiting threads must not keep processors from working ones
  %processors = call i32 @tk_thread_count(i32 0)
  %processors.wide = sext i32 %processors to i64
  %crowded = icmp sgt i64 %have, %processors.wide
  %budget = select i1 %crowded, i64 0, i64 50000 ; nanoseconds
  store atomic i64 %budget, ptr @spin monotonic, align 8
  %helpers = sub i64 %have, 1
  store atomic i64 %ranges, ptr @pending monotonic, align 8
  %old = load i64, ptr @ticket
  %ticket = add i64 %old, 1
  store i64 %ticket, ptr @ticket
  br label %offer
offer:
  %range = phi i64 [ 0, %share ], [ %range.next, %offer ]
  %free.at = getelementptr [1024 x i32], ptr @free, i64 0, i64 %range
  store atomic i32 1, ptr %free.at release, align 4
  %range.next = add i64 %range, 1
  %more.ranges = icmp slt i64 %range.next, %ranges
  br i1 %more.ranges, label %offer, label %post
post:
  %index = phi i64 [ 0, %offer ], [ %next, %post ]
  %worker = getelementptr [255 x %worker], ptr @workers, i64 0, i64 %index
  call void @open_gate(ptr %worker, i64 %ticket)
  %next = add i64 %index, 1
  %more = icmp slt i64 %next, %helpers
  br i1 %more, label %post, label %help
help:
  call void @take_ranges(i64 0)
  call i64 @pass_gate(ptr @finish, i64 %old)
  store atomic i32 0, ptr @owned release, align 4
  ret void
give.up:
  store atomic i32 0, ptr @owned release, align 4
  br label %serial
serial:
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %whole, label %exit
whole:
  call void %fn(ptr %context, i64 0, i64 %count)
  br label %exit
exit:
  ret void
}

define void @tk_pool_shutdown() {
entry:
  %self = call i32 @getpid()
  %process = load atomic i32, ptr @process acquire, align 4
  %same = icmp eq i32 %process, %self
  br i1 %same, label %take, label %exit
take:
  %mine = call i1 @acquire()
  br i1 %mine, label %begin, label %exit
begin:
  %workers = load i64, ptr @running
  br label %check
check:
  %index = phi i64 [ 0, %begin ], [ %next, %stop ]
  %more = icmp slt i64 %index, %workers
  br i1 %more, label %stop, label %clear
stop:
  %worker = getelementptr [255 x %worker], ptr @workers, i64 0, i64 %index
  call void @open_gate(ptr %worker, i64 -1)
  %thread.at = getelementptr %worker, ptr %worker, i32 0, i32 2
  %thread = load i64, ptr %thread.at
  call i32 @pthread_join(i64 %thread, ptr null)
  %next = add i64 %index, 1
  br label %check
clear:
  call void @llvm.memset.p0.i64(ptr align 64 @workers, i8 0, i64 65280, i1 false)
  store i64 0, ptr @running
  store atomic i32 0, ptr @owned release, align 4
  br label %exit
exit:
  ret void
}

; --------------------------------------------------------------------------- processors to use

; Reads up to two integers from the start of a file; how many there were.
define internal i32 @read_numbers(ptr %path, ptr %first, ptr %second) {
entry:
  %file = call ptr @fopen(ptr %path, ptr @read)
  %missing = icmp eq ptr %file, null
  br i1 %missing, label %none, label %scan
scan:
  %found = call i32 (ptr, ptr, ...) @fscanf(ptr %file, ptr @two_numbers, ptr %first, ptr %second)
  call i32 @fclose(ptr %file)
  ret i32 %found
none:
  ret i32 0
}

; quota / period processors, rounded up; 256 where one of them says that there is no limit.
define internal i64 @limit(i64 %quota, i64 %period) {
entry:
  %no.quota = icmp slt i64 %quota, 1
  %no.period = icmp slt i64 %period, 1
  %free = or i1 %no.quota, %no.period
  br i1 %free, label %unlimited, label %divide
divide:
  %sum = add i64 %quota, %period
  %rounded = sub i64 %sum, 1
  %processors = sdiv i64 %rounded, %period
  ret i64 %processors
unlimited:
  ret i64 256
}

; The tightest limit from the process's own control group up to the root (cgroup version 2).
define internal i64 @unified_cgroup_limit() {
entry:
  %path = alloca [512 x i8]
  %name = alloca [640 x i8]
  %quota = alloca i64
  %period = alloca i64
  store i8 0, ptr %path
  %file = call ptr @fopen(ptr @own_cgroup, ptr @read)
  %missing = icmp eq ptr %file, null
  br i1 %missing, label %level, label %scan
scan:
  call i32 (ptr, ptr, ...) @fscanf(ptr %file, ptr @unified_path, ptr %path)
  call i32 @fclose(ptr %file)
  br label %level
level:
  %least = phi i64 [ 256, %entry ], [ 256, %scan ], [ %lesser, %cut ]
  store i64 0, ptr %quota
  store i64 0, ptr %period
  call i32 (ptr, i64, ptr, ...) @snprintf(ptr %name, i64 640, ptr @unified_limit, ptr %path)
  call i32 @read_numbers(ptr %name, ptr %quota, ptr %period)
  %quota.value = load i64, ptr %quota
  %period.value = load i64, ptr %period
  %here = call i64 @limit(i64 %quota.value, i64 %period.value)
  %lesser = call i64 @llvm.smin.i64(i64 %least, i64 %here)
  %slash = call ptr @strrchr(ptr %path, i32 47)
  %top = icmp eq ptr %slash, null
  br i1 %top, label %exit, label %cut
cut:
  store i8 0, ptr %slash
  br label %level
exit:
  ret i64 %lesser
}

define internal i64 @first_cgroup_limit() {
  %quota = alloca i64
  %period = alloca i64
  %unused = alloca i64
  store i64 0, ptr %quota
  store i64 0, ptr %period
  call i32 @read_numbers(ptr @quota_file, ptr %quota, ptr %unused)
  call i32 @read_numbers(ptr @period_file, ptr %period, ptr %unused)
  %quota.value = load i64, ptr %quota
  %period.value = load i64, ptr %period
  %processors = call i64 @limit(i64 %quota.value, i64 %period.value)
  ret i64 %processors
}

; Processors in the affinity mask; 1 where it cannot be read.
define internal i64 @affinity() {
entry:
  %mask = alloca [128 x i64], align 16
  call void @llvm.memset.p0.i64(ptr align 16 %mask, i8 0, i64 1024, i1 false)
  %status = call i32 @sched_getaffinity(i32 0, i64 1024, ptr %mask)
  br label %word
word:
  %index = phi i64 [ 0, %entry ], [ %next, %word ]
  %sum = phi i64 [ 0, %entry ], [ %total, %word ]
  %bits.at = getelementptr [128 x i64], ptr %mask, i64 0, i64 %index
  %bits = load i64, ptr %bits.at
  %ones = call i64 @llvm.ctpop.i64(i64 %bits)
  %total = add i64 %sum, %ones
  %next = add i64 %index, 1
  %more = icmp slt i64 %next, 128
  br i1 %more, label %word, label %exit
exit:
  %empty = icmp eq i64 %total, 0
  %processors = select i1 %empty, i64 1, i64 %total
  ret i64 %processors
}

define i32 @tk_thread_count(i32 %requested) {
entry:
  %asked = icmp sgt i32 %requested, 0
  br i1 %asked, label %cap, label %known
cap:
  %capped = call i32 @llvm.smin.i32(i32 %requested, i32 256)
  ret i32 %capped
known:
  %default = load atomic i32, ptr @default_threads monotonic, align 4
  %unknown = icmp eq i32 %default, 0
  br i1 %unknown, label %find, label %exit
find:
  %processors = call i64 @affinity()
  %unified = call i64 @unified_cgroup_limit()
  %first = call i64 @first_cgroup_limit()
  %cgroup = call i64 @llvm.smin.i64(i64 %unified, i64 %first)
  %least = call i64 @llvm.smin.i64(i64 %processors, i64 %cgroup)
  %found = trunc i64 %least to i32
  store atomic i32 %found, ptr @default_threads monotonic, align 4
  br label %exit
exit:
  %result = phi i32 [ %default, %known ], [ %found, %find ]
  ret i32 %result
}
