"""Rows of random numbers: each seeds first, so that a row is a function of its inputs. There is no reference but
PyTorch: see test_random.py for the values."""

from tests.case import Case, In


def _case(name, fn, *inputs, seed=3, **kw):
    def seeded(T, *ts):
        T.manual_seed(seed)
        return fn(T, *[t.contiguous() for t in ts])  # elements are drawn in memory order: test_random.py has layouts

    kw.setdefault("grad", False)
    return Case(name, seeded, None, list(inputs), capture=False, **kw)  # seeding cannot be part of a captured step


UNIT = dict(lo=0.05, hi=0.95)

CASES = [
    _case("rand_like", lambda T, x: T.rand_like(x), In(4, 5), dtypes="fh",
          raises=((lambda T: T.rand_like(T.ones(2, dtype=T.int64)), NotImplementedError),)),
    _case("randn_like", lambda T, x: T.randn_like(x), In(4, 5), dtypes="fh",
          raises=((lambda T: T.randn_like("x"), TypeError),)),
    _case("randint_like", lambda T, x: T.randint_like(x, 3, 90), In(4, 5), dtypes="fhi",
          raises=((lambda T: T.randint_like(T.ones(2), 5, 5), RuntimeError),)),
    _case("normal", lambda T, m, s: T.normal(m, s), In(4, 5), In(5, lo=0.5, hi=2), dtypes="fh",
          raises=((lambda T: T.normal(T.zeros(2), -T.ones(2)), RuntimeError),)),
    _case("bernoulli", lambda T, p: T.bernoulli(p), In(4, 5, **UNIT), dtypes="fh", method="bernoulli",
          raises=((lambda T: T.bernoulli(2 * T.ones(2)), RuntimeError),
                  (lambda T: T.bernoulli(T.ones(2, dtype=T.int64)), NotImplementedError))),
    _case("multinomial", lambda T, p: T.multinomial(p, 3), In(4, 6, **UNIT), method="multinomial",
          raises=((lambda T: T.multinomial(T.zeros(3), 1), RuntimeError),
                  (lambda T: T.multinomial(T.ones(3), 4), RuntimeError))),
    _case("multinomial/replacement", lambda T, p: T.multinomial(p, 9, True), In(4, 6, **UNIT)),
    _case("poisson", lambda T, x: T.poisson(x), In(4, 5, lo=0, hi=40), dtypes="fh",
          raises=((lambda T: T.poisson(-T.ones(2)), RuntimeError),
                  (lambda T: T.poisson(T.ones(2, dtype=T.int64)), NotImplementedError),
                  (lambda T: T.poisson(3), TypeError))),
    _case("binomial", lambda T, n, p: T.binomial(n.floor(), p), In(4, 5, lo=0, hi=60), In(5, **UNIT),
          raises=((lambda T: T.binomial(T.ones(2), T.ones(2).double()), RuntimeError),
                  (lambda T: T.binomial(T.ones(2, dtype=T.int64), T.ones(2)), ValueError),
                  (lambda T: T.binomial(T.ones(2), T.ones(3)), RuntimeError),
                  (lambda T: T.binomial(T.ones(2), 0.5), TypeError))),
    _case("_standard_gamma", lambda T, a: T._standard_gamma(a), In(4, 5, lo=0.1, hi=9),
          raises=((lambda T: T._standard_gamma(T.ones(2).half()), NotImplementedError),)),
    _case("_sample_dirichlet", lambda T, a: T._sample_dirichlet(a), In(4, 5, lo=0.1, hi=9),
          raises=((lambda T: T._sample_dirichlet(T.ones(2).half()), NotImplementedError),)),
    _case("_standard_gamma_grad", lambda T, a, x: T._standard_gamma_grad(a, x), In(4, 5, lo=0.1, hi=9),
          In(4, 5, lo=0.1, hi=9), raises=((lambda T: T._standard_gamma_grad(T.ones(2), T.ones(3)), RuntimeError),)),
    _case("_dirichlet_grad", lambda T, x, a, b: T._dirichlet_grad(x, a, a + b), In(4, 5, **UNIT),
          In(4, 5, lo=0.1, hi=9), In(4, 5, lo=0.1, hi=9),
          raises=((lambda T: T._dirichlet_grad(T.ones(2), T.ones(3), T.ones(2)), RuntimeError),)),
    _case("dropout", lambda T, x: T.dropout(x, 0.4, True), In(6, 7), dtypes="fh", grad=True,
          raises=((lambda T: T.dropout(T.ones(2), 1.5, True), RuntimeError),
                  (lambda T: T.dropout(T.ones(2, dtype=T.int64), 0.5, True), RuntimeError),
                  (lambda T: T.dropout("x", 0.5, True), TypeError)), bench=((256, 1024),)),
    _case("dropout/transposed", lambda T, x: T.dropout(x.transpose(0, 2), 0.4, True), In(3, 4, 5), dtypes="fh",
          grad=True),
    _case("feature_dropout", lambda T, x: T.feature_dropout(x, 0.4, True), In(2, 5, 3), dtypes="fh", grad=True,
          raises=((lambda T: T.feature_dropout(T.ones(2), 0.5, True), RuntimeError),)),
    _case("alpha_dropout", lambda T, x: T.alpha_dropout(x, 0.4, True), In(6, 7), grad=True),
    _case("feature_alpha_dropout", lambda T, x: T.feature_alpha_dropout(x, 0.4, True), In(2, 5, 3), grad=True),
]


def _filled(name, *args, dtypes="fh", **kw):
    return _case(f"Tensor.{name}", lambda T, x: getattr(x.clone(), name)(*args, **kw), In(6, 7), dtypes=dtypes)


CASES += [
    _filled("uniform_", -1.5, 2.5),
    _filled("normal_", 0.5, 2.0),
    _filled("exponential_", 1.5),
    _filled("cauchy_", 0.5, 2.0),
    _filled("log_normal_", 0.5, 0.25),
    _filled("geometric_", 0.25, dtypes="fhi"),
    _filled("bernoulli_", 0.3, dtypes="fhib"),
    _filled("random_", dtypes="fhib"),
]
