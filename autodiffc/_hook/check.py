import sys
import importlib
def resolve(path):
    obj = sys.modules["autodiffc"]
    for part in path.split(".")[1:]:
        obj = getattr(obj, part, None)
    return obj
