"""`tf.saved_model`: models with their variables and signatures in a folder."""

from tensorkiln.frontends.graph.files import saved_model_builder as builder
from tensorkiln.frontends.graph.files import saved_model_constants as constants
from tensorkiln.frontends.graph.files import saved_model_loader as loader
from tensorkiln.frontends.graph.files import signature_constants, tag_constants
from tensorkiln.frontends.graph.files import signatures_of_models as signature_def_utils
from tensorkiln.frontends.graph.files import signatures_of_models as utils
from tensorkiln.frontends.graph.files.saved_model_builder import SavedModelBuilder, simple_save
from tensorkiln.frontends.graph.files.saved_model_constants import (
    ASSETS_DIRECTORY,
    ASSETS_KEY,
    LEGACY_INIT_OP_KEY,
    MAIN_OP_KEY,
    SAVED_MODEL_FILENAME_PB,
    SAVED_MODEL_FILENAME_PBTXT,
    SAVED_MODEL_SCHEMA_VERSION,
    VARIABLES_DIRECTORY,
    VARIABLES_FILENAME,
)  # fmt: skip
from tensorkiln.frontends.graph.files.saved_model_loader import (
    contains_saved_model,
    load,
    maybe_saved_model_directory,
)  # fmt: skip
from tensorkiln.frontends.graph.files.signature_constants import (
    CLASSIFY_INPUTS,
    CLASSIFY_METHOD_NAME,
    CLASSIFY_OUTPUT_CLASSES,
    CLASSIFY_OUTPUT_SCORES,
    DEFAULT_SERVING_SIGNATURE_DEF_KEY,
    PREDICT_INPUTS,
    PREDICT_METHOD_NAME,
    PREDICT_OUTPUTS,
    REGRESS_INPUTS,
    REGRESS_METHOD_NAME,
    REGRESS_OUTPUTS,
)  # fmt: skip
from tensorkiln.frontends.graph.files.signatures_of_models import (
    build_signature_def,
    build_tensor_info,
    classification_signature_def,
    get_tensor_from_tensor_info,
    is_valid_signature,
    predict_signature_def,
    regression_signature_def,
)  # fmt: skip
from tensorkiln.frontends.graph.files.tag_constants import GPU, SERVING, TPU, TRAINING

Builder = SavedModelBuilder
