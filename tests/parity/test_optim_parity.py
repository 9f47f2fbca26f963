"""Optimizers, schedulers and clipping against PyTorch: each case is a function that both libraries run."""

# ruff: noqa: B023
import copy
import pickle

import numpy as np
import pytest

from .both import X, Y, check, plain, tensor

pytestmark = pytest.mark.parity


# ---- clipping, vectors


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf"), 3.0])
@pytest.mark.parametrize("max_norm", [0.1, 1000.0])
def test_clipping(norm_type, max_norm):
    def case(T):
        params = [tensor(T, X, True), tensor(T, Y, True), tensor(T, X, True)]
        (params[0] ** 2 + params[1] ** 3).sum().backward()
        total = T.nn.utils.clip_grad_norm_(params, max_norm, norm_type)
        grads = [p.grad for p in params if p.grad is not None]
        result = plain([total, grads, T.nn.utils.get_total_norm(grads, norm_type)])
        T.nn.utils.clip_grad_value_(params, 0.05)
        return [result, [p.grad for p in params if p.grad is not None]]

    check(case)


def test_clipping_nonfinite_and_vectors():
    def case(T, error):
        p = tensor(T, X, True)
        p.grad = T.full((4, 6), float("nan"))
        return T.nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=error)

    for error in (True, False):
        check(lambda T: case(T, error))

    def vectors(T):
        m = T.nn.Sequential(T.nn.Linear(6, 5), T.nn.PReLU(), T.nn.Linear(5, 2))
        v = T.nn.utils.parameters_to_vector(m.parameters())
        T.nn.utils.vector_to_parameters(v * 2, m.parameters())
        return [v, m.state_dict()]

    check(vectors)


# ---- optimizers

# fmt: off
OPTIMIZERS = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}), ("SGD", {}), ("Adam", {}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.5, 0.6), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True}),
    ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}), ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "amsgrad": True, "weight_decay": 0.2}), ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.2, "initial_accumulator_value": 0.3, "maximize": True}),
    ("Adadelta", {}), ("Adadelta", {"rho": 0.5, "weight_decay": 0.1, "eps": 1e-3}), ("Adamax", {}),
    ("Adamax", {"weight_decay": 0.1, "betas": (0.5, 0.6)}), ("NAdam", {}),
    ("NAdam", {"weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}), ("RAdam", {}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "betas": (0.4, 0.7)}), ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.1, "alpha": 0.5}),
    ("RMSprop", {"momentum": 0.5, "eps": 1e-3}), ("RMSprop", {"centered": True, "maximize": True}), ("Rprop", {}),
    ("Rprop", {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.02)}), ("ASGD", {}),
    ("ASGD", {"t0": 2, "lambd": 0.1, "alpha": 0.5, "weight_decay": 0.1}), ("Adafactor", {}),
    ("Adafactor", {"beta2_decay": -0.3, "eps": (1e-3, 0.1), "d": 1.5, "weight_decay": 0.1, "maximize": True}),
]
# fmt: on


def train(T, name, options, steps=5, dtype=np.float32):
    params = [T.nn.Parameter(tensor(T, a.astype(dtype))) for a in (X, Y[0], Y[1])]
    optimizer = getattr(T.optim, name)(
        [{"params": params[:1]}, {"params": params[1:], "lr": 0.05}], **options
    )
    for step in range(steps):
        optimizer.zero_grad(set_to_none=step % 2 == 0)
        loss = (params[0] ** 2).sum() + (params[1] ** 3).sum()
        if step >= 2:
            loss = loss + (params[2] * params[0][0]).sum()  # a parameter whose gradient comes later
        loss.backward()
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name,options", OPTIMIZERS)
def test_optimizer(name, options, dtype):
    def case(T):
        params, optimizer = train(T, name, options, dtype=dtype)
        state = optimizer.state_dict()
        return [params, state, repr(optimizer)]

    check(case, 1e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("name,options", OPTIMIZERS)
def test_optimizer_resumes(name, options):
    def case(T):
        params, optimizer = train(T, name, options)
        state = pickle.loads(pickle.dumps(plain(optimizer.state_dict())))
        state["state"] = {int(k): {n: tensor(T, v) for n, v in s.items()} for k, s in state["state"].items()}
        again = getattr(T.optim, name)([{"params": params[:1]}, {"params": params[1:]}])
        again.load_state_dict(state)
        for _ in range(2):
            (params[0] ** 2).sum().backward()
            again.step()
        copied = copy.deepcopy(again)
        return [params, again.state_dict(), copied.state_dict()]

    check(case)


def test_optimizer_state_is_the_users():
    def case(T):
        params, optimizer = train(T, "Adam", {"lr": 0.1})
        optimizer.state[params[0]]["exp_avg"] = T.zeros(4, 6)
        optimizer.state[params[1]]["exp_avg_sq"].zero_()
        optimizer.param_groups[1]["lr"] = 0.5
        params[0].grad = tensor(T, X)
        optimizer.step()
        result = plain([params, optimizer.state_dict()])
        del optimizer.state[params[0]]
        optimizer.step()
        optimizer.param_groups[1]["params"] = params[1:2]
        optimizer.step()
        optimizer.state.clear()
        optimizer.step()
        optimizer.add_param_group({"params": [T.nn.Parameter(T.ones(1))]})
        optimizer.step()
        return [result, params, optimizer.state_dict()]

    check(case)


# fmt: off
OPTIMIZER_RULES = [
    "SGD([])", "SGD(p)", "SGD([3])", "SGD([p], lr=-1)", "SGD([p], momentum=-1)", "SGD([p], weight_decay=-1)",
    "SGD([p], nesterov=True)", "SGD([p], lr=T.tensor([.1, .2]))", "SGD([p, p])",
    "SGD([{'params': [p]}, {'params': [p]}])", "SGD([p * 2])", "SGD([{'params': {p}}])",
    "SGD([p], fused=True, differentiable=True)", "SGD([p], fused=True, foreach=True)",
    "SGD([{'params': [p]}, {'prms': [q]}])", "SGD([{'params': [p]}, q])", "SGD([('a', p), ('b', q)])",
    "SGD([('a', p), ('b', q)]).state_dict()", "SGD([('a', p), q])", "SGD({'params': [p]})", "SGD({p})",
    "Adam([p], lr=-1)", "Adam([p], eps=-1)", "Adam([p], betas=(1., .9))", "Adam([p], betas=(.1, 1.9))",
    "Adam([p], weight_decay=-1)", "Adam([p], lr=T.tensor(.1))", "Adam([p], lr=T.tensor(.1), foreach=True)",
    "Adam([p], lr=T.tensor([.1, .2]))", "Adam([p], betas=(T.tensor(.1), .9))",
    "Adam([p, q]).add_param_group(3)", "Adam([p, q]).add_param_group({'params': p})",
    "Adam([p, q]).load_state_dict({'state': {}, 'param_groups': []})",
    "Adam([p, q]).load_state_dict({'state': {}, 'param_groups': [{'params': [0]}]})",
    "SGD([p]).step(lambda: 5)", "SGD([p]).step(closure=lambda: 5)", "SGD(None)", "SGD([None])", "SGD([[p]])",
    "SGD(iter([p, q]))", "SGD(nn.Linear(2, 2).named_parameters())", "SGD([p], lr=.1).defaults",
    "AdamW([p], lr=.1).defaults", "SGD([p], lr='a')", "SGD([nn.Parameter(T.ones(2), requires_grad=False)])",
    "Adam([p], lr=.1, fused=True)",
]
# fmt: on


@pytest.mark.parametrize("text", OPTIMIZER_RULES)
def test_optimizer_rules(text):
    def case(T):
        names = {"T": T, "nn": T.nn, "p": T.nn.Parameter(T.ones(2)), "q": T.nn.Parameter(T.ones(3))}
        result = eval(text, {**names, **{n: getattr(T.optim, n) for n in ("SGD", "Adam", "AdamW")}})
        return repr(result)

    check(case)


def test_optimizer_hooks_and_subclasses():
    def case(T):
        log = []

        class Signs(T.optim.Optimizer):
            def __init__(self, params, lr):
                super().__init__(params, {"lr": lr})

            @T.no_grad()
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(group["lr"] * p.grad.sign())
                return "done"

        for make in (lambda p: T.optim.SGD([p], lr=0.1), lambda p: Signs([p], 0.1)):
            p = T.nn.Parameter(T.ones(2))
            p.grad = T.ones(2) * 3
            optimizer = make(p)
            optimizer.register_step_pre_hook(lambda o, a, k: log.append(["pre", len(a), k]))
            handle = optimizer.register_step_post_hook(lambda o, a, k: log.append(["post", len(a), k]))
            log.append(optimizer.step())
            handle.remove()
            optimizer.step(lambda: 3)
            optimizer.register_state_dict_post_hook(lambda o, s: {**s, "more": 1})
            optimizer.register_load_state_dict_pre_hook(lambda o, s: log.append(sorted(s)))
            optimizer.load_state_dict(optimizer.state_dict())
            optimizer.zero_grad()
            log.append([p, p.grad is None])
        return log

    check(case)


def test_tensor_lr():
    def case(T):
        params, optimizer = train(T, "SGD", {"lr": T.tensor(0.1), "momentum": 0.9})
        scheduler = T.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        optimizer.step()
        scheduler.step()
        return [params, optimizer.param_groups[0]["lr"]]

    check(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"lr": 0.3, "history_size": 3}, {"line_search_fn": "strong_wolfe"},
                                     {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 2},
                                     {"max_eval": 4}, {"tolerance_grad": 1.0}, {"tolerance_change": 0.1}])
def test_lbfgs(options, dtype):
    def case(T):
        p, q = (T.nn.Parameter(tensor(T, a.astype(dtype))) for a in (X, Y[0]))
        optimizer = T.optim.LBFGS([p, q], **options)
        log = []

        def closure():
            optimizer.zero_grad()
            loss = (p**4).sum() * 0.1 + ((q - 1) ** 2).sum() + (p.sum() - q.sum()) ** 2 * 0.01
            loss.backward()
            log.append(loss.detach())
            return loss
        for _ in range(2):
            optimizer.step(closure)
        counts = [len(log), optimizer.state[p]["n_iter"]]   # close to the minimum they hang on rounding
        sure = {"max_eval", "tolerance_grad", "tolerance_change", "max_iter"} & set(options)
        return [counts if sure else [], log[:6], list(optimizer.state[p])]

    check(case, 1e-3 if dtype is np.float32 else 1e-8)


@pytest.mark.parametrize("options", [{}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0}])
def test_muon(options):
    def case(T):
        p, q = T.nn.Parameter(tensor(T, X)), T.nn.Parameter(tensor(T, X.T.copy()))
        optimizer = T.optim.Muon([p, q], lr=0.1, **options)
        for _ in range(3):
            optimizer.zero_grad()
            ((p**2).sum() + (q**3).sum()).backward()
            optimizer.step()
        return [p, q, optimizer.state_dict()]

    check(case, 2e-3)


def test_averaged_models():
    def case(T):
        swa, log = T.optim.swa_utils, []
        T.manual_seed(0)
        model = T.nn.Linear(3, 2)
        with T.no_grad():
            for p, a in zip(model.parameters(), (Y[0, :3], Y[1, :2])):
                p.copy_(T.from_numpy(np.broadcast_to(a, p.shape).astype("f")))
        for options in ({}, {"avg_fn": swa.get_swa_avg_fn()}, {"avg_fn": swa.get_ema_avg_fn(0.9)},
                        {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.7), "use_buffers": True},
                        {"multi_avg_fn": swa.get_swa_multi_avg_fn()}):
            averaged = swa.AveragedModel(model, **options)
            for k in range(3):
                averaged.update_parameters(model)
                with T.no_grad():
                    for p in model.parameters():
                        p.mul_(1 + k)
            log.append(averaged.state_dict())
            log.append(averaged(T.ones(1, 3)))
        return plain(log)

    check(case)


@pytest.mark.parametrize("options", [{}, {"anneal_epochs": 3}, {"anneal_strategy": "linear", "anneal_epochs": 4},
                                     {"anneal_epochs": 0}, {"swa_lr": [0.3, 0.2]}, {"anneal_strategy": "x"},
                                     {"anneal_epochs": -1}, {"anneal_epochs": 0.5}, {"swa_lr": [0.1]}])
def test_swalr(options):
    def case(T):
        params = [T.nn.Parameter(T.ones(1)) for _ in range(2)]
        opt = T.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.1)
        schedule = T.optim.swa_utils.SWALR(opt, **{"swa_lr": 0.05, **options})
        log = [schedule.state_dict()]
        for _ in range(6):
            opt.step()
            schedule.step()
            log.append([schedule.get_last_lr(), schedule.state_dict()])
        return log

    check(case)


# ---- schedulers

SCHEDULERS = [
    ("LambdaLR", lambda: {"lr_lambda": lambda e: 0.9**e}),
    ("LambdaLR", lambda: {"lr_lambda": [lambda e: 0.9**e, lambda e: 1 / (1 + e)]}),
    ("MultiplicativeLR", lambda: {"lr_lambda": lambda e: 0.9}),
    ("StepLR", lambda: {"step_size": 3}),
    ("MultiStepLR", lambda: {"milestones": [2, 4, 4, 9], "gamma": 0.5}),
    ("ConstantLR", lambda: {}),
    ("ConstantLR", lambda: {"factor": 0.5, "total_iters": 0}),
    ("LinearLR", lambda: {}),
    ("LinearLR", lambda: {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 7}),
    ("ExponentialLR", lambda: {"gamma": 0.9}),
    ("CosineAnnealingLR", lambda: {"T_max": 5}),
    ("CosineAnnealingLR", lambda: {"T_max": 4, "eta_min": 0.01}),
    ("PolynomialLR", lambda: {}),
    ("PolynomialLR", lambda: {"total_iters": 8, "power": 2.5}),
    ("CosineAnnealingWarmRestarts", lambda: {"T_0": 3}),
    ("CosineAnnealingWarmRestarts", lambda: {"T_0": 2, "T_mult": 2, "eta_min": 0.01}),
    ("CyclicLR", lambda: {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3}),
    (
        "CyclicLR",
        lambda: {
            "base_lr": 0.01,
            "max_lr": [0.1, 0.2],
            "step_size_up": 3,
            "step_size_down": 4,
            "mode": "triangular2",
        },
    ),
    (
        "CyclicLR",
        lambda: {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "mode": "exp_range", "gamma": 0.9},
    ),
    (
        "CyclicLR",
        lambda: {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 2,
            "scale_fn": lambda x: 0.5,
            "scale_mode": "iterations",
        },
    ),
    ("OneCycleLR", lambda: {"max_lr": 1.0, "total_steps": 14}),
    (
        "OneCycleLR",
        lambda: {
            "max_lr": [1.0, 0.5],
            "epochs": 7,
            "steps_per_epoch": 2,
            "three_phase": True,
            "anneal_strategy": "linear",
        },
    ),
]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name,options", SCHEDULERS)
def test_scheduler(name, options, optimizer):
    def case(T):
        params = [T.nn.Parameter(T.ones(1)) for _ in range(2)]
        make = getattr(T.optim, optimizer)
        more = {"momentum": 0.9} if optimizer == "SGD" else {}
        opt = make([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.1, **more)
        scheduler = getattr(T.optim.lr_scheduler, name)(opt, **options())
        log = [plain(scheduler.state_dict())]
        for step in range(12):
            opt.step()
            scheduler.step()
            log.append(
                [
                    scheduler.get_last_lr(),
                    [g["lr"] for g in opt.param_groups],
                    [repr(g.get("momentum", g.get("betas"))) for g in opt.param_groups],
                ]
            )
            if step == 5:
                state = scheduler.state_dict()
                log.append(plain(state))
                scheduler = getattr(T.optim.lr_scheduler, name)(opt, **options())
                scheduler.load_state_dict(state)
                for group, lr in zip(opt.param_groups, scheduler.get_last_lr()):
                    group["lr"] = lr
        log.append([list(g) for g in opt.param_groups])
        if name not in ("CyclicLR", "OneCycleLR"):
            scheduler.step(3)
            log.append(scheduler.get_last_lr())
        return log

    check(case)


def test_plateau():
    metrics = [1.0, 0.9, 0.9, 0.9, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, float("nan"), 0.1, 0.1]
    for options in (
        {"patience": 1},
        {"patience": 0, "cooldown": 2, "factor": 0.5},
        {"mode": "max", "patience": 2},
        {"threshold": 0.2, "threshold_mode": "abs", "patience": 1, "min_lr": [0.05, 0.01]},
    ):

        def case(T, options=options):
            params = [T.nn.Parameter(T.ones(1)) for _ in range(2)]
            opt = T.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.1)
            scheduler = T.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)
            log = []
            for metric in metrics:
                scheduler.step(metric)
                log.append([scheduler.get_last_lr(), scheduler.state_dict()])
            return log

        check(case)


def test_sequential_and_chained():
    def make(T, which):
        L = T.optim.lr_scheduler
        opt = T.optim.SGD([T.nn.Parameter(T.ones(1))], lr=0.1)
        if which == 0:
            s = L.SequentialLR(
                opt,
                [L.ConstantLR(opt, 0.1, 2), L.ExponentialLR(opt, 0.9), L.CosineAnnealingWarmRestarts(opt, 3)],
                [3, 6],
            )
        elif which == 1:
            s = L.SequentialLR(opt, [L.LinearLR(opt, 0.1, 1.0, 4), L.CosineAnnealingLR(opt, 8)], [4])
        else:
            s = L.ChainedScheduler([L.ConstantLR(opt, 0.1, 2), L.ExponentialLR(opt, 0.9)])
        return opt, s

    def case(T, which):
        opt, s = make(T, which)
        log = [s.state_dict(), s.get_last_lr()]
        for _ in range(10):
            opt.step()
            s.step()
            log.append([s.get_last_lr(), opt.param_groups[0]["lr"]])
        log.append(s.state_dict())
        return plain(log)

    for which in range(3):
        check(lambda T: case(T, which))


# fmt: off
SCHEDULER_RULES = [
    "StepLR(3, 2)", "StepLR(o, 2, last_epoch=3)", "LambdaLR(o, [1])", "LinearLR(o, 0)", "LinearLR(o, .5, 2)",
    "ConstantLR(o, 3)", "CyclicLR(o, .1, .2, mode='q')", "CyclicLR(o, [.1], .2)", "OneCycleLR(o, 1.)",
    "OneCycleLR(o, 1., total_steps=-1)", "OneCycleLR(o, 1., epochs=3)",
    "OneCycleLR(o, 1., epochs=3, steps_per_epoch=-1)", "OneCycleLR(o, 1., total_steps=3, pct_start=3.)",
    "OneCycleLR(o, 1., total_steps=3, anneal_strategy='q')",
    "[s for s in [OneCycleLR(o, 1., total_steps=3)] for _ in range(5) if s.step()]",
    "CosineAnnealingWarmRestarts(o, 0)", "CosineAnnealingWarmRestarts(o, 2, 0)",
    "CosineAnnealingWarmRestarts(o, 2).step(-1)", "ReduceLROnPlateau(o, factor=1.)",
    "ReduceLROnPlateau(o, mode='q')", "ReduceLROnPlateau(o, threshold_mode='q')",
    "ReduceLROnPlateau(o, min_lr=[1, 2, 3])", "SequentialLR(o, [], [])",
    "SequentialLR(o, [ConstantLR(o)], [3])", "ChainedScheduler([])",
    "SequentialLR(o, [ReduceLROnPlateau(o), ConstantLR(o)], [3])", "ExponentialLR(o, .9).get_lr()",
]
# fmt: on


@pytest.mark.parametrize("text", SCHEDULER_RULES)
def test_scheduler_rules(text):
    def case(T):
        o = T.optim.SGD(
            [{"params": [T.nn.Parameter(T.ones(1))]}, {"params": [T.nn.Parameter(T.ones(1))]}], momentum=0.9
        )
        result = eval(text, {**vars(T.optim.lr_scheduler), "o": o})
        return result if isinstance(result, list) else type(result).__name__

    check(case)


def test_update_bn():
    def case(T):
        T.manual_seed(0)
        model = T.nn.Sequential(T.nn.Linear(6, 5), T.nn.BatchNorm1d(5), T.nn.ReLU(), T.nn.Linear(5, 2))
        averaged = T.optim.swa_utils.AveragedModel(model)
        optimizer = T.optim.SGD(model.parameters(), lr=0.1)
        batches = [(tensor(T, X * k), 0) for k in (1, 2, 3)]
        for x, _ in batches:
            optimizer.zero_grad()
            (model(x) ** 2).sum().backward()
            optimizer.step()
            averaged.update_parameters(model)
        averaged.eval()
        T.optim.swa_utils.update_bn(batches, averaged)
        return [averaged.state_dict(), averaged(batches[0][0]), averaged.training, averaged.module[1].momentum]

    check(case)
