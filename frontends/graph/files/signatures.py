"""How ops look in a graph definition: the names of their type attributes, and defaults.

Facts of TensorFlow's public op definitions, one op a line: `Name(input:Type ...) attribute:kind
...`.  An input's type is the attribute that holds it, or a fixed dtype; `*N` marks a list whose
length is the attribute N, `**` one whose items have types of their own.  `=` gives an attribute's
default.  Ops without a line have the inputs of their entry in the op table, each letter a type
attribute, and no defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.kinds import OpKind

_TEXT = """
All(input:bool reduction_indices:Tidx) keep_dims:bool=false
Any(input:bool reduction_indices:Tidx) keep_dims:bool=false
ArgMax(input:T dimension:Tidx) output_type:type=int64
ArgMerge(inputs:T*N)
MergeV2Checkpoints(checkpoint_prefixes:string destination_prefix:string) delete_old_dirs:bool=true
Mfcc(spectrogram:float32 sample_rate:int32) upper_frequency_limit:float=4000 lower_frequency_limit:float=20 filterbank_channel_count:int=40 dct_coefficient_count:int=13
Min(input:T dimension:Tidx) output_type:type=int64
AudioSpectrogram(input:float32) window_size:int stride:int magnitude_squared:bool=false
Assert(condition:bool data:T**) summarize:int=3
Assign(ref:T value:T) validate_shape:bool=true use_locking:bool=true
AddV2(x:T y:T)
AssignVariableOp(resource:resource value:dtype) validate_shape:bool=true
AvgPool(value:T) ksize:ints strides:ints padding:string data_format:string=NHWC
AvgPool3D(input:T) ksize:ints strides:ints padding:string data_format:string=NDHWC
BatchMatMul(x:T y:T) adj_x:bool=false adj_y:bool=false
BatchMatMulV2(x:T y:T) adj_x:bool=false adj_y:bool=false
BatchNormWithGlobalNormalization(t:T m:T v:T beta:T gamma:T) variance_epsilon:float scale_after_normalization:bool
BatchToSpaceND(input:T block_shape:Tblock_shape crops:Tcrops)
BiasAdd(value:T bias:T) data_format:string=NHWC
BiasAddV1(value:T bias:T)
BlockLSTM(seq_len_max:int64 x:T cs_prev:T h_prev:T w:T wci:T wcf:T wco:T b:T) forget_bias:float=1 cell_clip:float=3 use_peephole:bool=false
BroadcastTo(input:T shape:Tidx)
CTCBeamSearchDecoder(inputs:T sequence_length:int32) beam_width:int top_paths:int merge_repeated:bool=true
Cast(x:SrcT) DstT:type Truncate:bool=false
CheckNumerics(tensor:T) message:string
ClipByValue(t:T clip_value_min:T clip_value_max:T)
Concat(concat_dim:int32 values:T*N)
ConcatV2(values:T*N axis:Tidx)
Const() value:tensor dtype:type
Conv2D(input:T filter:T) strides:ints use_cudnn_on_gpu:bool=true padding:string explicit_paddings:ints= data_format:string=NHWC dilations:ints=1,1,1,1
Conv2DBackpropFilter(input:T filter_sizes:int32 out_backprop:T) strides:ints use_cudnn_on_gpu:bool=true padding:string explicit_paddings:ints= data_format:string=NHWC dilations:ints=1,1,1,1
Conv2DBackpropInput(input_sizes:int32 filter:T out_backprop:T) strides:ints use_cudnn_on_gpu:bool=true padding:string explicit_paddings:ints= data_format:string=NHWC dilations:ints=1,1,1,1
Conv3D(input:T filter:T) strides:ints padding:string data_format:string=NDHWC dilations:ints=1,1,1,1,1
Conv3DBackpropFilterV2(input:T filter_sizes:int32 out_backprop:T) strides:ints padding:string data_format:string=NDHWC dilations:ints=1,1,1,1,1
Conv3DBackpropInputV2(input_sizes:Tshape filter:T out_backprop:T) strides:ints padding:string data_format:string=NDHWC dilations:ints=1,1,1,1,1
CropAndResize(image:T boxes:float32 box_ind:int32 crop_size:int32) method:string=bilinear extrapolation_value:float=0
Cumprod(x:T axis:Tidx) exclusive:bool=false reverse:bool=false
Cumsum(x:T axis:Tidx) exclusive:bool=false reverse:bool=false
DecodeAndCropJpeg(contents:string crop_window:int32) channels:int=0 ratio:int=1 fancy_upscaling:bool=true try_recover_truncated:bool=false acceptable_fraction:float=1 dct_method:string=
DecodeBmp(contents:string) channels:int=0
DecodeImage(contents:string) channels:int=0 dtype:type=uint8 expand_animations:bool=true
DecodeJpeg(contents:string) channels:int=0 ratio:int=1 fancy_upscaling:bool=true try_recover_truncated:bool=false acceptable_fraction:float=1 dct_method:string=
DecodePng(contents:string) channels:int=0 dtype:type=uint8
DecodeWav(contents:string) desired_channels:int=-1 desired_samples:int=-1
DepthToSpace(input:T) block_size:int data_format:string=NHWC
DepthwiseConv2dNative(input:T filter:T) strides:ints padding:string explicit_paddings:ints= data_format:string=NHWC dilations:ints=1,1,1,1
DepthwiseConv2dNativeBackpropFilter(input:T filter_sizes:int32 out_backprop:T) strides:ints padding:string explicit_paddings:ints= data_format:string=NHWC dilations:ints=1,1,1,1
DepthwiseConv2dNativeBackpropInput(input_sizes:int32 filter:T out_backprop:T) strides:ints padding:string explicit_paddings:ints= data_format:string=NHWC dilations:ints=1,1,1,1
Dilation2D(input:T filter:T) strides:ints rates:ints padding:string
Einsum(inputs:T*N) equation:string
EmptyTensorList(element_shape:shape_type max_num_elements:int32) element_dtype:type
EncodeJpeg(image:uint8) format:string= quality:int=95 progressive:bool=false optimize_size:bool=false chroma_downsampling:bool=true density_unit:string=in x_density:int=300 y_density:int=300 xmp_metadata:string=
EncodePng(image:T) compression:int=-1
EnsureShape(input:T) shape:shape
ExpandDims(input:T dim:Tdim)
ExtractJpegShape(contents:string) output_type:type=int32
ExtractImagePatches(images:T) ksizes:ints strides:ints rates:ints padding:string
FFT(input:Tcomplex)
FFT2D(input:Tcomplex)
FFT3D(input:Tcomplex)
FakeQuantWithMinMaxArgs(inputs:float32) min:float=-6 max:float=6 num_bits:int=8 narrow_range:bool=false
FakeQuantWithMinMaxVars(inputs:float32 min:float32 max:float32) num_bits:int=8 narrow_range:bool=false
Fill(dims:index_type value:T)
FusedBatchNorm(x:T scale:T offset:T mean:T variance:T) epsilon:float=0.0001 data_format:string=NHWC is_training:bool=true
FusedBatchNormV2(x:T scale:U offset:U mean:U variance:U) epsilon:float=0.0001 data_format:string=NHWC is_training:bool=true
FusedBatchNormV3(x:T scale:U offset:U mean:U variance:U) epsilon:float=0.0001 data_format:string=NHWC is_training:bool=true
Gather(params:Tparams indices:Tindices) validate_indices:bool=true
GRUBlockCell(x:T h_prev:T w_ru:T w_c:T b_ru:T b_c:T)
GatherNd(params:Tparams indices:Tindices)
GatherV2(params:Tparams indices:Tindices axis:Taxis) batch_dims:int=0
IFFT(input:Tcomplex)
IFFT2D(input:Tcomplex)
IFFT3D(input:Tcomplex)
IRFFT(input:Tcomplex fft_length:int32)
IRFFT2D(input:Tcomplex fft_length:int32)
IRFFT3D(input:Tcomplex fft_length:int32)
IdentityN(input:T**)
InTopK(predictions:float32 targets:T) k:int
InTopKV2(predictions:float32 targets:T k:T)
InvertPermutation(x:T)
IsVariableInitialized(ref:dtype)
LRN(input:T) depth_radius:int=5 bias:float=1 alpha:float=1 beta:float=0.5
LeakyRelu(features:T) alpha:float=0.2
LSTMBlockCell(x:T cs_prev:T h_prev:T w:T wci:T wcf:T wco:T b:T) forget_bias:float=1 cell_clip:float=3 use_peephole:bool=false
LinSpace(start:T stop:T num:Tidx)
MatMul(a:T b:T) transpose_a:bool=false transpose_b:bool=false
MatrixBandPart(input:T num_lower:Tindex num_upper:Tindex)
Max(input:T reduction_indices:Tidx) keep_dims:bool=false
MaxPool(input:T) ksize:ints strides:ints padding:string explicit_paddings:ints= data_format:string=NHWC
MaxPool3D(input:T) ksize:ints strides:ints padding:string data_format:string=NDHWC
MaxPoolWithArgmax(input:T) ksize:ints strides:ints Targmax:type=int64 padding:string include_batch_in_index:bool=false
Mean(input:T reduction_indices:Tidx) keep_dims:bool=false
Merge(inputs:T*N)
MergeV2Checkpoints(checkpoint_prefixes:string destination_prefix:string) delete_old_dirs:bool=true
Min(input:T reduction_indices:Tidx) keep_dims:bool=false
MirrorPad(input:T paddings:Tpaddings) mode:string
Multinomial(logits:T num_samples:int32) seed:int=0 seed2:int=0 output_dtype:type=int64
NonMaxSuppression(boxes:float32 scores:float32 max_output_size:int32) iou_threshold:float=0.5
NonMaxSuppressionV2(boxes:T scores:T max_output_size:int32 iou_threshold:T_threshold)
NonMaxSuppressionV3(boxes:T scores:T max_output_size:int32 iou_threshold:T_threshold score_threshold:T_threshold)
NonMaxSuppressionV4(boxes:T scores:T max_output_size:int32 iou_threshold:T_threshold score_threshold:T_threshold) pad_to_max_output_size:bool=false
NonMaxSuppressionV5(boxes:T scores:T max_output_size:int32 iou_threshold:T score_threshold:T soft_nms_sigma:T) pad_to_max_output_size:bool=false
OneHot(indices:TI depth:int32 on_value:T off_value:T) axis:int=-1
Pack(values:T*N) axis:int=0
Pad(input:T paddings:Tpaddings)
PadV2(input:T paddings:Tpaddings constant_values:T)
Placeholder() dtype:type shape:shape=?
PlaceholderV2() dtype:type shape:shape
PlaceholderWithDefault(input:dtype) shape:shape
PreventGradient(input:T) message:string=
Print(input:T data:U**) message:string= first_n:int=-1 summarize:int=3
Prod(input:T reduction_indices:Tidx) keep_dims:bool=false
RFFT(input:Treal fft_length:int32)
RFFT2D(input:Treal fft_length:int32)
RFFT3D(input:Treal fft_length:int32)
RandomGamma(shape:S alpha:T) seed:int=0 seed2:int=0
RandomPoissonV2(shape:S rate:R) seed:int=0 seed2:int=0 dtype:type=int64
RandomShuffle(value:T) seed:int=0 seed2:int=0
RandomStandardNormal(shape:T) seed:int=0 seed2:int=0 dtype:type
RandomUniform(shape:T) seed:int=0 seed2:int=0 dtype:type
RandomUniformInt(shape:T minval:Tout maxval:Tout) seed:int=0 seed2:int=0
Range(start:Tidx limit:Tidx delta:Tidx)
ReadVariableOp(resource:resource)
RefIdentity(input:T)
Reshape(tensor:T shape:Tshape)
RegionInput() dtype:type shape:shape
ResizeArea(images:T size:int32) align_corners:bool=false
ResizeBicubic(images:T size:int32) align_corners:bool=false half_pixel_centers:bool=false
ResizeBilinear(images:T size:int32) align_corners:bool=false half_pixel_centers:bool=false
ResizeNearestNeighbor(images:T size:int32) align_corners:bool=false half_pixel_centers:bool=false
Results(values:any**)
RestoreV2(prefix:string tensor_names:string shape_and_slices:string) dtypes:types
ReverseSequence(input:T seq_lengths:Tlen) seq_dim:int batch_dim:int=0
ReverseV2(tensor:T axis:Tidx)
SaveV2(prefix:string tensor_names:string shape_and_slices:string tensors:dtypes**)
ScatterNd(indices:Tindices updates:T shape:Tindices)
SelectV2(condition:bool t:T e:T)
Roll(input:T shift:Tshift axis:Taxis)
Shape(input:T) out_type:type=int32
ShapeN(input:T*N) out_type:type=int32
Size(input:T) out_type:type=int32
Slice(input:T begin:Index size:Index)
Snapshot(input:T)
SpaceToBatchND(input:T block_shape:Tblock_shape paddings:Tpaddings)
SpaceToDepth(input:T) block_size:int data_format:string=NHWC
SparseSegmentMeanWithNumSegments(data:T indices:Tidx segment_ids:Tsegmentids num_segments:Tnumsegments)
SparseSegmentSqrtNWithNumSegments(data:T indices:Tidx segment_ids:Tsegmentids num_segments:Tnumsegments)
SparseSegmentSumWithNumSegments(data:T indices:Tidx segment_ids:Tsegmentids num_segments:Tnumsegments)
SparseSoftmaxCrossEntropyWithLogits(features:T labels:Tlabels)
Split(split_dim:int32 value:T) num_split:int
SplitV(value:T size_splits:Tlen split_dim:int32) num_split:int
Squeeze(input:T) squeeze_dims:ints=
StridedSlice(input:T begin:Index end:Index strides:Index) begin_mask:int=0 end_mask:int=0 ellipsis_mask:int=0 new_axis_mask:int=0 shrink_axis_mask:int=0
StringJoin(inputs:string*N) separator:string=
Substr(input:string pos:T len:T) unit:string=BYTE
Sum(input:T reduction_indices:Tidx) keep_dims:bool=false
Switch(data:T pred:bool)
Tile(input:T multiples:Tmultiples)
TopKV2(input:T k:int32) sorted:bool=true
Transpose(x:T perm:Tperm)
TensorArrayGradV3(handle:resource flow_in:any) source:string
TensorListFromTensor(tensor:element_dtype element_shape:shape_type)
TensorListGetItem(input_handle:variant index:int32 element_shape:int32) element_dtype:type
TensorListLength(input_handle:variant)
TensorListReserve(element_shape:shape_type num_elements:int32) element_dtype:type
TensorListSetItem(input_handle:variant index:int32 item:element_dtype) resize_if_index_out_of_bounds:bool=false
TensorListStack(input_handle:variant element_shape:int32) element_dtype:type num_elements:int=-1
TruncatedNormal(shape:T) seed:int=0 seed2:int=0 dtype:type
Unpack(value:T) num:int axis:int=0
UnravelIndex(indices:Tidx dims:Tidx)
UnsortedSegmentSum(data:T segment_ids:Tindices num_segments:Tnumsegments)
VarHandleOp() container:string= shared_name:string= dtype:type shape:shape
VarIsInitializedOp(resource:resource)
Variable() shape:shape dtype:type container:string= shared_name:string=
VariableV2() shape:shape dtype:type container:string= shared_name:string=
AvgPool3DGrad(orig_input_shape:int32 grad:T) ksize:ints strides:ints padding:string data_format:string=NDHWC
AvgPoolGrad(orig_input_shape:int32 grad:T) ksize:ints strides:ints padding:string data_format:string=NHWC
BatchMatMulV3(x:Ta y:Tb) adj_x:bool=false adj_y:bool=false
BiasAddGrad(out_backprop:T) data_format:string=NHWC
BroadcastGradientArgs(s0:T s1:T)
ConcatOffset(concat_dim:int32 shape:int32*N)
ControlTrigger()
DisableCopyOnRead(resource:resource)
Div(x:T y:T)
FusedBatchNormGrad(y_backprop:T x:T scale:T reserve_space_1:T reserve_space_2:T) epsilon:float=0.0001 data_format:string=NHWC is_training:bool=true
FusedBatchNormGradV2(y_backprop:T x:T scale:float32 reserve_space_1:U reserve_space_2:U) epsilon:float=0.0001 data_format:string=NHWC is_training:bool=true
FusedBatchNormGradV3(y_backprop:T x:T scale:float32 reserve_space_1:U reserve_space_2:U reserve_space_3:U) epsilon:float=0.0001 data_format:string=NHWC is_training:bool=true
Inv(x:T)
InvGrad(y:T dy:T)
LRNGrad(input_grads:T input_image:T output_image:T) depth_radius:int=5 bias:float=1 alpha:float=1 beta:float=0.5
LeakyReluGrad(gradients:T features:T) alpha:float=0.2
MatrixDiagPartV2(input:T k:int32 padding_value:T)
MatrixDiagPartV3(input:T k:int32 padding_value:T) align:string=RIGHT_LEFT
MatrixDiagV2(diagonal:T k:int32 num_rows:int32 num_cols:int32 padding_value:T)
MatrixDiagV3(diagonal:T k:int32 num_rows:int32 num_cols:int32 padding_value:T) align:string=RIGHT_LEFT
MatrixSetDiagV2(input:T diagonal:T k:int32)
MatrixSetDiagV3(input:T diagonal:T k:int32) align:string=RIGHT_LEFT
MaxPool3DGrad(orig_input:TInput orig_output:TInput grad:T) ksize:ints strides:ints padding:string data_format:string=NDHWC
MaxPoolGrad(orig_input:T orig_output:T grad:T) ksize:ints strides:ints padding:string explicit_paddings:ints= data_format:string=NHWC
MirrorPadGrad(input:T paddings:Tpaddings) mode:string
Mod(x:T y:T)
ResizeBilinearGrad(grads:float32 original_image:T) align_corners:bool=false half_pixel_centers:bool=false
ResizeNearestNeighborGrad(grads:T size:int32) align_corners:bool=false half_pixel_centers:bool=false
ResourceGather(resource:resource indices:Tindices) batch_dims:int=0 validate_indices:bool=true dtype:type
ResourceGatherNd(resource:resource indices:Tindices) dtype:type
SparseSegmentMeanGrad(grad:T indices:Tidx segment_ids:Tsegmentids output_dim0:int32)
SparseSegmentSqrtNGrad(grad:T indices:Tidx segment_ids:Tsegmentids output_dim0:int32)
SparseSegmentSumGrad(grad:T indices:Tidx segment_ids:Tsegmentids output_dim0:int32)
StridedSliceGrad(shape:Index begin:Index end:Index strides:Index dy:T) begin_mask:int=0 end_mask:int=0 ellipsis_mask:int=0 new_axis_mask:int=0 shrink_axis_mask:int=0
VariableShape(input:resource) out_type:type=int32
"""

_FOREIGN_TEXT = """
DynamicPartition(data:T partitions:int32) num_partitions:int
DynamicStitch(indices:int32*N data:T*N)
ParallelDynamicStitch(indices:int32*N data:T*N)
SegmentMax(data:T segment_ids:Tindices)
SegmentMean(data:T segment_ids:Tindices)
SegmentMin(data:T segment_ids:Tindices)
SegmentProd(data:T segment_ids:Tindices)
SegmentSum(data:T segment_ids:Tindices)
SparseSegmentMean(data:T indices:Tidx segment_ids:Tsegmentids)
SparseSegmentSqrtN(data:T indices:Tidx segment_ids:Tsegmentids)
SparseSegmentSum(data:T indices:Tidx segment_ids:Tsegmentids)
TensorArrayGatherV3(handle:resource indices:int32 flow_in:any) dtype:type element_shape:shape=?
TensorArrayReadV3(handle:resource index:int32 flow_in:any) dtype:type
TensorArrayScatterV3(handle:resource indices:int32 value:T flow_in:any)
TensorArraySizeV3(handle:resource flow_in:any)
TensorArrayV3(size:int32) dtype:type element_shape:shape=? dynamic_size:bool=false
TensorArrayWriteV3(handle:resource index:int32 value:T flow_in:any)
"""


@dataclass(frozen=True)
class Input:
    """An input: its type (an attribute or a dtype's name) and, for lists, `*N` or `**`."""

    name: str
    type: str
    is_list: bool = False
    number: str = ""

    @property
    def is_attribute(self) -> bool:
        """True if the type is an attribute of the node."""
        return self.type not in _FIXED


@dataclass(frozen=True)
class Attribute:
    """An attribute that does not follow from the inputs; `default` is None where it has none."""

    name: str
    kind: str
    default: object = None
    has_default: bool = False


@dataclass(frozen=True)
class Signature:
    """How one op looks in a graph definition."""

    inputs: tuple[Input, ...]
    attributes: tuple[Attribute, ...] = ()

    def derived(self) -> set[str]:
        """The attributes that follow from the inputs."""
        names = {item.type for item in self.inputs if item.is_attribute}
        return names | {item.number for item in self.inputs if item.number}


_FIXED = {dtype.name for dtype in dtypes.ALL} | {"index", "any", "resource", "variant"}
_KINDS: dict[str, Callable[[str], object]] = {
    "bool": lambda text: text == "true",
    "int": int,
    "float": float,
    "string": str,
    "type": dtypes.as_dtype,
    "ints": lambda text: tuple(int(part) for part in text.split(",") if part),
    "shape": lambda text: None,
}


def _signature(line: str) -> tuple[str, Signature]:
    head, _, tail = line.partition(")")
    name, _, inputs = head.partition("(")
    attributes = []
    for part in tail.split():
        label, equals, default = part.partition("=")
        key, kind = label.split(":")
        value: object = _KINDS[kind](default) if equals else None
        attributes.append(Attribute(key, kind, value, bool(equals)))
    return name, Signature(tuple(_input(part) for part in inputs.split()), tuple(attributes))


def _input(text: str) -> Input:
    name, kind = text.split(":")
    if kind.endswith("**"):
        return Input(name, kind[:-2], True)
    plain, star, number = kind.partition("*")
    return Input(name, plain, bool(star), number)


SIGNATURES = dict(_signature(line) for line in _TEXT.strip().splitlines())
"""The ops that have a line of their own."""
FOREIGN = dict(_signature(line) for line in _FOREIGN_TEXT.strip().splitlines())
"""Private op types as TensorFlow has them, where they can be read."""

PRIVATE = frozenset(
    (
        "AccumulateNV2", "ArgSort", "ArraySizes", "AtMostOne", "BatchGatherNd", "Bincount", "Case",
        "DenseRows", "DynamicPartition", "DynamicStitch", "Exit", "Eye", "FirstRows", "If",
        "InitializedValue", "LogisticLoss", "ParallelDynamicStitch", "ParseExample",
        "ParseSingleExample", "PartitionPlaces", "PassVariable", "PrintText", "PyFunc",
        "PyFuncStateless", "RegionInput", "RowsOfCount", "SegmentCount", "SegmentMax",
        "SegmentMean", "SegmentMin", "SegmentProd", "SegmentSum", "ShapeStitch",
        "SoftmaxCrossEntropyBackprop", "Sort", "SparseApplyAdaMax", "SparseApplyAdam",
        "SparseApplyGradientDescent", "SparseCheckedShape", "SparseConcatPlaces",
        "SparseFillEmptyRowsPlaces", "SparseGroups", "SparseLeastShape", "SparseReorderPlaces",
        "SparseSegmentMean", "SparseSegmentSqrtN", "SparseSegmentSum", "SparseSlicePlaces",
        "SparseSoftmaxCrossEntropyBackprop", "SparseSplitPlaces", "SparseUnionPlaces",
        "StatelessCase", "StatelessIf", "StatelessWhile", "StitchSources", "SymbolicGradient",
        "TensorArrayConcatV3", "TensorArrayGatherV3", "TensorArrayGrow", "TensorArrayReadV3",
        "TensorArrayScatterV3", "TensorArraySizeV3", "TensorArraySplitV3", "TensorArrayStack",
        "TensorArrayUnstack", "TensorArrayV3", "TensorArrayWriteV3", "TensorDot",
        "UninitializedNames", "While",
    )
)  # fmt: skip
"""Op types of this front end that TensorFlow lacks, or has with other inputs or attributes."""

MARK = "_tensorkiln"
"""The attribute that nodes of private types carry."""

_NAMED_TYPES = {"indices": "Tindices", "segment_ids": "Tindices"}


def signature_of(kind: OpKind) -> Signature:
    """The op's line, or what its entry in the op table says."""
    if kind.name in SIGNATURES:
        return SIGNATURES[kind.name]
    return Signature(
        tuple(
            Input(
                a.name,
                _NAMED_TYPES.get(a.name, a.type) if a.type == "index" else a.type,
                a.is_list,
                "N" if a.is_list and a.type != "any" else "",
            )
            for a in kind.arguments
        )
    )
