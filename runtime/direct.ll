; Functions of the Python interpreter that call compiled code: see direct.py, which gives the
; addresses of what is declared here and puts the size of Python's object header for HEADER.

; dtype, rank, dims, bytes
%spec = type { ptr, i64, ptr, i64 }
; number of inputs, number of outputs, a spec of each: the inputs first
%model = type { i64, i64, ptr }
; compiled function, its three pointers, where its number of threads is, where the addresses of
; inputs and outputs go, model
%frame = type { ptr, ptr, ptr, ptr, ptr, ptr, ptr }
; numpy's array after the object header: data, rank, dims, strides, base, dtype, flags
; (PyArrayObject_fields in numpy's C API)
%array = type { [HEADER x i8], ptr, i32, ptr, ptr, ptr, ptr, i32 }

@array_type = external global i8
@none = external global i8

declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLong(i64)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare ptr @PyErr_Occurred()
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
; takes over a reference to the dtype
declare ptr @new_array(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)

define internal ptr @frame_of(ptr %self) alwaysinline {
  %number = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %frame = call ptr @PyLong_AsVoidPtr(ptr %number)
  ret ptr %frame
}

; Calls the compiled function while other Python threads may run.
define internal i32 @run(ptr %frame) alwaysinline {
  %a.at = getelementptr %frame, ptr %frame, i32 0, i32 1
  %b.at = getelementptr %frame, ptr %frame, i32 0, i32 2
  %c.at = getelementptr %frame, ptr %frame, i32 0, i32 3
  %threads.at = getelementptr %frame, ptr %frame, i32 0, i32 4
  %function = load ptr, ptr %frame
  %a = load ptr, ptr %a.at
  %b = load ptr, ptr %b.at
  %c = load ptr, ptr %c.at
  %threads.in = load ptr, ptr %threads.at
  %threads = load i32, ptr %threads.in
  %state = call ptr @PyEval_SaveThread()
  %status = call i32 %function(ptr %a, ptr %b, ptr %c, i32 %threads)
  call void @PyEval_RestoreThread(ptr %state)
  ret i32 %status
}

; The status of a call with the addresses as they are. (METH_NOARGS)
define ptr @tk_call_frame(ptr %self, ptr %unused) {
  %frame = call ptr @frame_of(ptr %self)
  %status = call i32 @run(ptr %frame)
  %wide = sext i32 %status to i64
  %number = call ptr @PyLong_FromLong(i64 %wide)
  ret ptr %number
}

; Notes the address of an array under a position: 1, or 0 for what is no array of numpy's own kind
; or no position. (METH_FASTCALL)
define ptr @tk_bind_array(ptr %self, ptr %values, i64 %count) {
entry:
  %two = icmp eq i64 %count, 2
  br i1 %two, label %look, label %no
look:
  %frame = call ptr @frame_of(ptr %self)
  %number = load ptr, ptr %values
  %position.in = call ptr @PyLong_AsVoidPtr(ptr %number)
  %position = ptrtoint ptr %position.in to i64
  %error = call ptr @PyErr_Occurred()
  %wrong = icmp ne ptr %error, null
  br i1 %wrong, label %raise, label %bounds
raise:
  ret ptr null
bounds:
  %model.at = getelementptr %frame, ptr %frame, i32 0, i32 6
  %model = load ptr, ptr %model.at
  %inputs = load i64, ptr %model
  %outputs.at = getelementptr %model, ptr %model, i32 0, i32 1
  %outputs = load i64, ptr %outputs.at
  %all = add i64 %inputs, %outputs
  %inside = icmp ult i64 %position, %all
  br i1 %inside, label %check, label %no
check:
  %array.at = getelementptr ptr, ptr %values, i64 1
  %array = load ptr, ptr %array.at
  %kind = call ptr @type_of(ptr %array)
  %is.array = icmp eq ptr %kind, @array_type
  br i1 %is.array, label %note, label %no
note:
  %data.at = getelementptr %array, ptr %array, i32 0, i32 1
  %data = load ptr, ptr %data.at
  %pointers.at = getelementptr %frame, ptr %frame, i32 0, i32 5
  %pointers = load ptr, ptr %pointers.at
  %place = getelementptr ptr, ptr %pointers, i64 %position
  store ptr %data, ptr %place
  br label %exit
no:
  br label %exit
exit:
  %done = phi i64 [ 1, %note ], [ 0, %no ]
  %told = call ptr @PyLong_FromLong(i64 %done)
  ret ptr %told
}

; An object's type is the last word of its header.
define internal ptr @type_of(ptr %object) alwaysinline {
  %header.end = getelementptr %array, ptr %object, i32 0, i32 1
  %kind.at = getelementptr i8, ptr %header.end, i64 -8
  %kind = load ptr, ptr %kind.at
  ret ptr %kind
}

; Whether the object is numpy's own kind of array, with the dtype, the shape and all of the flags.
define internal i1 @fits(ptr %object, ptr %spec, i32 %flags) alwaysinline {
entry:
  %kind = call ptr @type_of(ptr %object)
  %is.array = icmp eq ptr %kind, @array_type
  br i1 %is.array, label %look, label %no
look:
  %dtype.at = getelementptr %array, ptr %object, i32 0, i32 6
  %dtype = load ptr, ptr %dtype.at
  %dtype.want = load ptr, ptr %spec
  %dtype.ok = icmp eq ptr %dtype, %dtype.want
  %flags.at = getelementptr %array, ptr %object, i32 0, i32 7
  %flags.all = load i32, ptr %flags.at
  %flags.both = and i32 %flags.all, %flags
  %flags.ok = icmp eq i32 %flags.both, %flags
  %rank.at = getelementptr %array, ptr %object, i32 0, i32 2
  %rank.narrow = load i32, ptr %rank.at
  %rank = sext i32 %rank.narrow to i64
  %rank.want.at = getelementptr %spec, ptr %spec, i32 0, i32 1
  %rank.want = load i64, ptr %rank.want.at
  %rank.ok = icmp eq i64 %rank, %rank.want
  %both.ok = and i1 %dtype.ok, %flags.ok
  %all.ok = and i1 %both.ok, %rank.ok
  %dims.at = getelementptr %array, ptr %object, i32 0, i32 3
  %dims = load ptr, ptr %dims.at
  %dims.want.at = getelementptr %spec, ptr %spec, i32 0, i32 2
  %dims.want = load ptr, ptr %dims.want.at
  br i1 %all.ok, label %each, label %no
each:
  %axis = phi i64 [ 0, %look ], [ %axis.next, %same ]
  %more = icmp slt i64 %axis, %rank
  br i1 %more, label %compare, label %yes
compare:
  %dim.at = getelementptr i64, ptr %dims, i64 %axis
  %dim = load i64, ptr %dim.at
  %dim.want.at = getelementptr i64, ptr %dims.want, i64 %axis
  %dim.want = load i64, ptr %dim.want.at
  %dim.ok = icmp eq i64 %dim, %dim.want
  br i1 %dim.ok, label %same, label %no
same:
  %axis.next = add i64 %axis, 1
  br label %each
yes:
  ret i1 true
no:
  ret i1 false
}

; Whether the memory of output number %own meets that of any other array of the call.
define internal i1 @overlaps(ptr %pointers, ptr %specs, i64 %own, i64 %all) {
entry:
  %begin.at = getelementptr i64, ptr %pointers, i64 %own
  %begin = load i64, ptr %begin.at
  %size.at = getelementptr %spec, ptr %specs, i64 %own, i32 3
  %size = load i64, ptr %size.at
  %end = add i64 %begin, %size
  br label %each
each:
  %other = phi i64 [ 0, %entry ], [ %other.next, %apart ]
  %more = icmp slt i64 %other, %all
  br i1 %more, label %compare, label %no
compare:
  %start.at = getelementptr i64, ptr %pointers, i64 %other
  %start = load i64, ptr %start.at
  %length.at = getelementptr %spec, ptr %specs, i64 %other, i32 3
  %length = load i64, ptr %length.at
  %stop = add i64 %start, %length
  %starts.before = icmp ult i64 %start, %end
  %ends.after = icmp ult i64 %begin, %stop
  %meet = and i1 %starts.before, %ends.after
  %different = icmp ne i64 %other, %own
  %bad = and i1 %meet, %different
  br i1 %bad, label %yes, label %apart
apart:
  %other.next = add i64 %other, 1
  br label %each
yes:
  ret i1 true
no:
  ret i1 false
}

; A new array for output number %number, whose address is noted, or null with an exception.
define internal ptr @make(ptr %pointers, ptr %specs, i64 %number) alwaysinline {
entry:
  %spec = getelementptr %spec, ptr %specs, i64 %number
  %dtype = load ptr, ptr %spec
  %rank.at = getelementptr %spec, ptr %spec, i32 0, i32 1
  %rank.wide = load i64, ptr %rank.at
  %rank = trunc i64 %rank.wide to i32
  %dims.at = getelementptr %spec, ptr %spec, i32 0, i32 2
  %dims = load ptr, ptr %dims.at
  call void @Py_IncRef(ptr %dtype)
  %array = call ptr @new_array(ptr @array_type, ptr %dtype, i32 %rank, ptr %dims, ptr null, ptr null, i32 0, ptr null)
  %failed = icmp eq ptr %array, null
  br i1 %failed, label %exit, label %note
note:
  %data.at = getelementptr %array, ptr %array, i32 0, i32 1
  %data = load ptr, ptr %data.at
  %place = getelementptr ptr, ptr %pointers, i64 %number
  store ptr %data, ptr %place
  br label %exit
exit:
  ret ptr %array
}

; A call on the inputs, giving a list of new arrays, or on inputs and outputs, giving the status 0.
; A failed call gives its status, and None means that nothing was called: some array is not what
; the model computes with as it stands. (METH_FASTCALL)
define ptr @tk_call_arrays(ptr %self, ptr %values, i64 %count) {
entry:
  %frame = call ptr @frame_of(ptr %self)
  %pointers.at = getelementptr %frame, ptr %frame, i32 0, i32 5
  %pointers = load ptr, ptr %pointers.at
  %model.at = getelementptr %frame, ptr %frame, i32 0, i32 6
  %model = load ptr, ptr %model.at
  %inputs = load i64, ptr %model
  %outputs.at = getelementptr %model, ptr %model, i32 0, i32 1
  %outputs = load i64, ptr %outputs.at
  %specs.at = getelementptr %model, ptr %model, i32 0, i32 2
  %specs = load ptr, ptr %specs.at
  %all = add i64 %inputs, %outputs
  %fresh = icmp eq i64 %count, %inputs
  %full = icmp eq i64 %count, %all
  %known = or i1 %fresh, %full
  br i1 %known, label %each, label %refuse
each:
  %number = phi i64 [ 0, %entry ], [ %number.next, %take ]
  %more = icmp slt i64 %number, %count
  br i1 %more, label %check, label %checked
check:
  %value.at = getelementptr ptr, ptr %values, i64 %number
  %value = load ptr, ptr %value.at
  %spec = getelementptr %spec, ptr %specs, i64 %number
  %is.input = icmp slt i64 %number, %inputs
  ; C_CONTIGUOUS 1, ALIGNED 256, WRITEABLE 1024
  %flags = select i1 %is.input, i32 257, i32 1281
  %good = call i1 @fits(ptr %value, ptr %spec, i32 %flags)
  br i1 %good, label %take, label %refuse
take:
  %data.at = getelementptr %array, ptr %value, i32 0, i32 1
  %data = load ptr, ptr %data.at
  %place = getelementptr ptr, ptr %pointers, i64 %number
  store ptr %data, ptr %place
  %number.next = add i64 %number, 1
  br label %each
checked:
  br i1 %fresh, label %new, label %target
target:
  %own = phi i64 [ %inputs, %checked ], [ %own.next, %alone ]
  %own.more = icmp slt i64 %own, %all
  br i1 %own.more, label %meet, label %call.into
meet:
  %shared = call i1 @overlaps(ptr %pointers, ptr %specs, i64 %own, i64 %all)
  br i1 %shared, label %refuse, label %alone
alone:
  %own.next = add i64 %own, 1
  br label %target
call.into:
  %status.into = call i32 @run(ptr %frame)
  br label %tell
new:
  %list = call ptr @PyList_New(i64 %outputs)
  %no.list = icmp eq ptr %list, null
  br i1 %no.list, label %raise, label %result
result:
  %position = phi i64 [ 0, %new ], [ %position.next, %made ]
  %result.more = icmp slt i64 %position, %outputs
  br i1 %result.more, label %create, label %call.new
create:
  %result.number = add i64 %inputs, %position
  %array = call ptr @make(ptr %pointers, ptr %specs, i64 %result.number)
  %no.array = icmp eq ptr %array, null
  br i1 %no.array, label %drop, label %made
made:
  call i32 @PyList_SetItem(ptr %list, i64 %position, ptr %array)
  %position.next = add i64 %position, 1
  br label %result
drop:
  call void @Py_DecRef(ptr %list)
  br label %raise
raise:
  ret ptr null
call.new:
  %status.new = call i32 @run(ptr %frame)
  %done = icmp eq i32 %status.new, 0
  br i1 %done, label %give, label %fail
give:
  ret ptr %list
fail:
  call void @Py_DecRef(ptr %list)
  br label %tell
tell:
  %status = phi i32 [ %status.into, %call.into ], [ %status.new, %fail ]
  %wide = sext i32 %status to i64
  %told = call ptr @PyLong_FromLong(i64 %wide)
  ret ptr %told
refuse:
  call void @Py_IncRef(ptr @none)
  ret ptr @none
}
