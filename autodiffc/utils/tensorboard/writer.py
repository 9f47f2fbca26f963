"""SummaryWriter: tensorboardX's, which takes the same calls."""

try:
    from tensorboardX import SummaryWriter as _Writer
except ImportError as e:
    raise ImportError(
        "torch.utils.tensorboard needs tensorboardX (pip install tensorboardX) to write its files", name="tensorboardX"
    ) from e


def _plain(x):
    """Tensors as NumPy arrays, in lists and dictionaries too."""
    from ..._core import TensorBase

    if isinstance(x, TensorBase):
        return x.detach().to(x.dtype if x.dtype.numpy is not None else "float32").numpy()
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)) and any(isinstance(v, (TensorBase, list, tuple, dict)) for v in x):
        return type(x)([_plain(v) for v in x]) if type(x) in (list, tuple) else x
    return x


def _scalar(x):
    x = _plain(x)
    return x.item() if hasattr(x, "item") else x


class SummaryWriter(_Writer):
    """Writes values, pictures and histograms for TensorBoard. log_dir: runs/<time>_<host> when it is not given."""

    def __init__(self, log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120, filename_suffix=""):
        super().__init__(logdir=log_dir or None, comment=comment, purge_step=purge_step, max_queue=max_queue,
                         flush_secs=flush_secs, filename_suffix=filename_suffix)

    @property
    def log_dir(self):
        return self.logdir

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False, double_precision=False):
        super().add_scalar(tag, _scalar(scalar_value), global_step, walltime)

    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        super().add_scalars(main_tag, {k: _scalar(v) for k, v in tag_scalar_dict.items()}, global_step, walltime)

    def add_graph(self, model, input_to_model=None, verbose=False, use_strict_trace=True):
        """Nothing, with a warning: modules are not traced."""
        import warnings

        warnings.warn("SummaryWriter.add_graph: autodiffc does not trace modules; no graph is written", stacklevel=2)

    def add_hparams(self, hparam_dict, metric_dict, hparam_domain_discrete=None, run_name=None, global_step=None):
        super().add_hparams(_plain(hparam_dict), {k: _scalar(v) for k, v in metric_dict.items()}, name=run_name,
                            global_step=global_step)


def _forward(name):
    method = getattr(_Writer, name)

    def forward(self, *args, **kwargs):
        return method(self, *map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

    forward.__name__, forward.__doc__ = name, method.__doc__
    return forward


for _name in ("add_histogram", "add_image", "add_images", "add_image_with_boxes", "add_video", "add_audio",
              "add_pr_curve", "add_embedding", "add_mesh", "add_histogram_raw"):
    if hasattr(_Writer, _name):
        setattr(SummaryWriter, _name, _forward(_name))
