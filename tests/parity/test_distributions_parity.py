"""Distributions against PyTorch: samples for the same seed, densities, moments, gradients, divergences, errors."""

import numpy as np
import pytest

import autodiffc

from .both import check, plain

pytestmark = pytest.mark.parity

G = np.random.default_rng(0)
P, Q, L = np.exp(G.standard_normal(3)), np.exp(G.standard_normal(3)), G.standard_normal((4, 5))
M = (lambda a: a @ a.T + np.eye(4))(G.standard_normal((4, 4)))
N = {"P": P, "Q": Q, "L": L, "E": np.exp(L), "M": M, "C": np.linalg.cholesky(M), "H": np.array([0.2, 0.5, 0.9]),
     "one": np.array(0.7)}

# fmt: off
MAKE = [
    "Categorical(logits=L)", "Categorical(probs=E)", "Categorical(probs=P)", "Normal(P, Q)", "Normal(0., 2.)",
    "Normal(loc=P, scale=3)", "Bernoulli(H)", "Bernoulli(logits=P)", "Bernoulli(.3)", "Uniform(-P, Q)",
    "Uniform(0., 1.)", "Laplace(P, Q)", "Cauchy(P, Q)", "Exponential(P)",
    "Exponential(.5)", "Gamma(P, Q)", "Gamma(2., 3.)",
    "Chi2(P)",
    "Dirichlet(E)", "Dirichlet(P)", "Beta(P, Q)", "Beta(2., 3.)", "Poisson(P * 9)", "Geometric(H)",
    "Geometric(logits=P)", "LogNormal(P, Q)", "HalfNormal(Q)", "HalfCauchy(Q)", "Gumbel(P, Q)", "Gumbel(0., 1.)",
    "Pareto(P, Q)", "Weibull(P, Q)", "Kumaraswamy(P, Q)", "InverseGamma(P, Q)", "LogisticNormal(P, Q)",
    "Independent(Normal(L, E), 1)", "TransformedDistribution(Normal(P, Q), [TanhTransform(), AffineTransform(1., 2.)])",
    "TransformedDistribution(Normal(P, Q), SigmoidTransform())",
    "TransformedDistribution(Uniform(0., 1.), [SigmoidTransform().inv, AffineTransform(1., 2.)])",
    "TransformedDistribution(Normal(L, E), StickBreakingTransform())",
    "TransformedDistribution(Normal(L, E), [ReshapeTransform((5,), (5, 1)), ExpTransform()])", "Binomial(10, H)",
    "Binomial(P.round(), logits=Q)", "NegativeBinomial(P, H)", "OneHotCategorical(logits=L)",
    "OneHotCategoricalStraightThrough(probs=E)", "Multinomial(6, logits=L)", "RelaxedBernoulli(one, probs=H)",
    "RelaxedOneHotCategorical(one, logits=L)", "ContinuousBernoulli(H)", "ContinuousBernoulli(logits=P)",
    "StudentT(P * 3, P, Q)", "StudentT(3.)", "FisherSnedecor(P * 5, Q * 5)", "VonMises(P, Q)",
    "MixtureSameFamily(Categorical(logits=L), Normal(L, E))",
    "MixtureSameFamily(Categorical(logits=P), Independent(Normal(L[:3], E[:3]), 1))", "MultivariateNormal(L.T, M)",
    "MultivariateNormal(L[:, 0], scale_tril=C)", "MultivariateNormal(L.T, precision_matrix=M)",
    "LowRankMultivariateNormal(L.T, M[:, :2], E[:, 0])", "LKJCholesky(4, H)", "LKJCholesky(3)",
    "Wishart(one * 10, M)", "GeneralizedPareto(P, Q, P - 1.2)",
]
# fmt: on


def built(T, text, dtype="float64"):
    names = {k: T.from_numpy(np.array(v)).to(getattr(T, dtype)) for k, v in N.items()}
    D = T.distributions
    return eval(text, {**{n: getattr(D, n) for n in D.__all__}, **names})


def tried(fn):
    try:
        return plain(fn())
    except Exception as e:
        return type(e).__name__


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("text", MAKE)
def test_distribution(text, dtype):
    if text.startswith("GeneralizedPareto"):
        dtype = "float32"  # PyTorch's refuses float64

    def case(T):
        T.manual_seed(7)
        d = built(T, text, dtype)
        x = d.sample((6,))
        rows = [repr(d), repr(d.support), list(d.batch_shape), list(d.event_shape), d.has_rsample,
                d.has_enumerate_support, x, T.rand(1)]
        rows += [tried(lambda name=name: getattr(d, name)) for name in ("mean", "mode", "variance", "stddev")]
        rows += [tried(fn) for fn in (lambda: d.log_prob(x), d.entropy, d.perplexity, d.enumerate_support)]
        rows.append(tried(lambda: d.cdf(x)))
        big = d.expand((2, *d.batch_shape))
        if not text.startswith("Wishart"):
            rows += [big.sample(), tried(lambda: big.log_prob(x[:2])), repr(big)]
        return plain(rows)

    wide = built(autodiffc, text, dtype).sample().dtype is autodiffc.float64
    check(case, 1e-7 if wide else 5e-4)


@pytest.mark.parametrize("text", ["Normal(p, q)", "Gamma(p, q)", "Beta(p, q)", "Dirichlet(p)", "LogNormal(p, q)",
                                  "StudentT(p, q)", "Uniform(-p, q)", "Gumbel(p, q)", "Weibull(p, q)",
                                  "RelaxedOneHotCategorical(one, logits=p)", "ContinuousBernoulli(logits=p)"])
def test_gradients(text):
    def case(T):
        p, q = (T.from_numpy(v).requires_grad_() for v in (P, Q))
        D = T.distributions
        T.manual_seed(3)
        names = {**{n: getattr(D, n) for n in D.__all__}, "p": p, "q": q, "one": T.tensor(0.7, dtype=T.float64)}
        d = eval(text, names)
        x = d.rsample((4,))
        first = T.autograd.grad((x * x).sum(), [p, q], allow_unused=True)
        second = T.autograd.grad(d.log_prob(x.detach()).sum(), [p, q], allow_unused=True)
        return [*first, *second]

    check(case, 2e-3)


FAMILIES = ["Bernoulli(U)", "Beta(P(), P())", "Binomial(7, U)", "Categorical(logits=R(3, 4))", "Cauchy(R(), P())",
            "ContinuousBernoulli(U)", "Dirichlet(P(3, 4))", "Exponential(P())", "Gamma(P(), P())", "Gumbel(R(), P())",
            "Geometric(U)", "HalfNormal(P())", "Laplace(R(), P())",
            "LowRankMultivariateNormal(R(3, 4), R(4, 2), P(4))", "MultivariateNormal(R(3, 4), S)", "Normal(R(), P())",
            "OneHotCategorical(logits=R(3, 4))", "Pareto(P(), P() + 3)", "Poisson(P())", "LogNormal(R(), P())",
            "Uniform(U * .3, U * .3 + .3)", "Independent(Normal(R(3, 4), P(3, 4)), 1)", "Chi2(P())"]


@pytest.mark.parametrize("left", FAMILIES)
def test_divergences(left):
    def case(T):
        D = T.distributions

        def make(text, seed):
            g = np.random.default_rng(seed)
            m = g.standard_normal((4, 4))
            names = {"U": T.from_numpy(g.random(3)), "S": T.from_numpy(m @ m.T + np.eye(4)),
                     "R": lambda *s: T.from_numpy(g.standard_normal(s or (3,))),
                     "P": lambda *s: T.from_numpy(np.exp(g.standard_normal(s or (3,))))}
            return eval(text, {**{n: getattr(D, n) for n in D.__all__}, **names})
        p = make(left, 1)
        return [tried(lambda q=q: D.kl_divergence(p, make(q, 2))) for q in FAMILIES]

    check(case, 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 100, 20000])
def test_streams(n, dtype):
    """poisson, binomial, gamma and Dirichlet numbers, of parameters over many orders, and the generator afterwards."""
    g = np.random.default_rng(n)
    rate = np.exp(g.standard_normal(n) * 3) * g.choice([0, 1], n, p=[0.05, 0.95])
    count, alpha = np.floor(np.exp(g.uniform(0, 12, n))), np.exp(g.standard_normal(n) * 2)
    p = np.where(g.random(n) < 0.5, g.random(n), g.random(n) ** 6)
    p[g.random(n) < 0.1] = 1

    def case(T):
        rows = []
        for name, args in (("poisson", [rate]), ("binomial", [count, p]), ("_standard_gamma", [alpha]),
                           ("_sample_dirichlet", [alpha.repeat(3).reshape(-1, 3)])):
            T.manual_seed(n)
            rows += [getattr(T, name)(*[T.from_numpy(a).to(getattr(T, dtype)) for a in args]), T.rand(2), T.randn(3)]
        return rows

    check(case, 1e-7 if dtype == "float32" else 1e-14)


# fmt: off
ERRORS = [
    "Normal(0., -1.)", "Normal('a', 1.)", "Normal(0., 1.).log_prob('a')", "Normal(P[:2], 1.).log_prob(P)",
    "Categorical()", "Categorical(one)", "Categorical(P).log_prob(one * 9)", "Categorical(probs=-P)",
    "Categorical(logits=P / 0 * 0)", "Bernoulli(2.)", "Normal(0., 1.).log_prob(one / 0 * 0)", "Uniform(1., 0.)",
    "Uniform(0., 1.).log_prob(one * 9)", "Uniform(0., 1., validate_args=False).log_prob(one * 9)",
    "kl_divergence(Normal(0., 1.), Poisson(1.))", "MultivariateNormal(P)", "MultivariateNormal(P[:2], -M[:2, :2])",
    "Poisson(1.).rsample()", "Poisson(1.).entropy()", "Normal(0., 1.).expand(2)", "Independent(Normal(0., 1.), 1)",
    "TransformedDistribution(Normal(0., 1.), 3)", "Distribution.set_default_validate_args(2)", "Beta(-1., 1.)",
    "Dirichlet(one)", "OneHotCategorical(P).log_prob(P * 0 + 1)", "Binomial(3, .5, .3)", "Multinomial(2.5, P)",
    "Normal(P, L)", "Normal(0., 1.).sample(3)", "Normal(0., 1.).sample([3])", "Normal(0, 1).mean",
    "Categorical(P).mean", "Bernoulli(H).mode", "biject_to(Normal.support)(P)", "Wishart(one, M)", "LKJCholesky(1)",
    "Geometric(0.)", "Gamma(P, Q).log_prob(-P)", "Categorical(P).sample((0,))", "StudentT(P).variance",
]
# fmt: on


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    def case(T):
        T.manual_seed(0)
        result = built(T, text)
        return result if isinstance(result, T.Tensor) else repr(result)

    check(case)
