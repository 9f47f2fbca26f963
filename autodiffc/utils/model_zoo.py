"""torch.utils.model_zoo: see torch.hub."""

from ..hub import load_state_dict_from_url as load_url  # noqa: F401


def __getattr__(name):
    if name == "tqdm":
        from ..hub import tqdm

        return tqdm
    from .._hook import missing

    raise missing.attribute(__name__, name)
