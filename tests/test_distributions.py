"""Distributions: log_prob against formulas in NumPy, moments and entropy against samples, gradients of samples,
constraints, transforms and divergences."""

import math
import pickle

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import distributions as D
from autodiffc.distributions import constraints, kl_divergence

RNG = np.random.default_rng(0)
lgamma = np.vectorize(math.lgamma)


def t(*values):
    return ad.tensor(list(values), dtype=ad.float64)


def beta_fn(a, b):
    return lgamma(a) + lgamma(b) - lgamma(a + b)


A, B = np.array([0.6, 2.5]), np.array([1.5, 0.8])
# a distribution and the logarithm of its density, in the parameters A and B
DENSITIES = [
    (lambda a, b: D.Normal(a, b), lambda x, a, b: -((x - a) ** 2) / (2 * b * b) - np.log(b) - 0.5 * np.log(2 * np.pi)),
    (lambda a, b: D.Laplace(a, b), lambda x, a, b: -abs(x - a) / b - np.log(2 * b)),
    (lambda a, b: D.Cauchy(a, b), lambda x, a, b: -np.log(np.pi * b * (1 + ((x - a) / b) ** 2))),
    (lambda a, b: D.Exponential(b), lambda x, a, b: np.log(b) - b * x),
    (lambda a, b: D.Gamma(a, b), lambda x, a, b: a * np.log(b) + (a - 1) * np.log(x) - b * x - lgamma(a)),
    (lambda a, b: D.InverseGamma(a + 3, b),
     lambda x, a, b: (a + 3) * np.log(b) - (a + 4) * np.log(x) - b / x - lgamma(a + 3)),
    (lambda a, b: D.Chi2(a), lambda x, a, b: (a / 2 - 1) * np.log(x) - x / 2 - a / 2 * np.log(2) - lgamma(a / 2)),
    (lambda a, b: D.Beta(a, b), lambda x, a, b: (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - beta_fn(a, b)),
    (lambda a, b: D.Kumaraswamy(a, b),
     lambda x, a, b: np.log(a * b) + (a - 1) * np.log(x) + (b - 1) * np.log1p(-(x**a))),
    (lambda a, b: D.Uniform(-a, b), lambda x, a, b: -np.log(a + b) + 0 * x),
    (lambda a, b: D.Gumbel(a, b), lambda x, a, b: -(x - a) / b - np.exp(-(x - a) / b) - np.log(b)),
    (lambda a, b: D.LogNormal(a, b),
     lambda x, a, b: -((np.log(x) - a) ** 2) / (2 * b * b) - np.log(x * b) - 0.5 * np.log(2 * np.pi)),
    (lambda a, b: D.HalfNormal(b), lambda x, a, b: -(x**2) / (2 * b * b) + 0.5 * np.log(2 / np.pi) - np.log(b)),
    (lambda a, b: D.HalfCauchy(b), lambda x, a, b: np.log(2 / (np.pi * b * (1 + (x / b) ** 2)))),
    (lambda a, b: D.Pareto(a, b + 3), lambda x, a, b: np.log(b + 3) + (b + 3) * np.log(a) - (b + 4) * np.log(x)),
    (lambda a, b: D.Weibull(a, b),
     lambda x, a, b: np.log(b / a) + (b - 1) * np.log(x / a) - (x / a) ** b),
    (lambda a, b: D.StudentT(a + 3, b),
     lambda x, a, b: lgamma((a + 4) / 2) - lgamma((a + 3) / 2) - 0.5 * np.log((a + 3) * np.pi)
     - (a + 4) / 2 * np.log1p((x - b) ** 2 / (a + 3))),
    (lambda a, b: D.FisherSnedecor(a + 3, b + 9),
     lambda x, a, b: 0.5 * (a + 3) * np.log((a + 3) / (b + 9)) + ((a + 3) / 2 - 1) * np.log(x)
     - (a + b + 12) / 2 * np.log1p((a + 3) / (b + 9) * x) - beta_fn((a + 3) / 2, (b + 9) / 2)),
    (lambda a, b: D.VonMises(a, b), lambda x, a, b: b * np.cos(x - a) - np.log(2 * np.pi * np.i0(b))),
    (lambda a, b: D.GeneralizedPareto(a, b, t(0.2, -0.3)),
     lambda x, a, b: -np.log(b) - (1 / np.array([0.2, -0.3]) + 1) * np.log1p(np.array([0.2, -0.3]) * (x - a) / b)),
    (lambda a, b: D.ContinuousBernoulli(a / 4),
     lambda x, a, b: x * np.log(a / 4) + (1 - x) * np.log1p(-a / 4) + np.log(2 * np.arctanh(1 - a / 2) / (1 - a / 2))),
    (lambda a, b: D.Poisson(a), lambda x, a, b: x * np.log(a) - a - lgamma(x + 1)),
    (lambda a, b: D.Geometric(a / 4), lambda x, a, b: x * np.log1p(-a / 4) + np.log(a / 4)),
    (lambda a, b: D.Bernoulli(a / 4), lambda x, a, b: np.where(x == 1, np.log(a / 4), np.log1p(-a / 4))),
    (lambda a, b: D.Binomial(9, a / 4),
     lambda x, a, b: lgamma(10 + 0 * x) - lgamma(x + 1) - lgamma(10 - x) + x * np.log(a / 4)
     + (9 - x) * np.log1p(-a / 4)),
    (lambda a, b: D.NegativeBinomial(b + 2, a / 4),
     lambda x, a, b: lgamma(x + b + 2) - lgamma(x + 1) - lgamma(b + 2) + (b + 2) * np.log1p(-a / 4)
     + x * np.log(a / 4)),
]


@pytest.mark.parametrize("make,density", DENSITIES)
def test_log_prob(make, density):
    ad.manual_seed(0)
    d = make(t(*A), t(*B))
    x = d.sample((5,))
    assert x.shape == (5, 2) and x.dtype is ad.float64 and not x.requires_grad
    tolerance = 2e-7 if isinstance(d, D.VonMises) else 1e-9   # a polynomial of that precision
    np.testing.assert_allclose(d.log_prob(x).numpy(), density(x.numpy(), A, B), rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("make,density", DENSITIES)
def test_samples_have_the_moments(make, density):
    d = make(t(*A), t(*B))
    ad.manual_seed(1)
    x = d.sample((40000,)).numpy()
    assert np.isfinite(x).all()
    if isinstance(d, (D.Cauchy, D.HalfCauchy)):
        np.testing.assert_allclose(np.mean(x <= 1, 0), d.cdf(t(1.0)).numpy(), atol=0.01)
        return
    if not isinstance(d, D.VonMises):   # the mean of an angle is another thing
        deviation = x.std(0) / 200
        assert (abs(x.mean(0) - d.mean.numpy()) < 5 * deviation + 1e-9).all()
        if not isinstance(d, (D.LogNormal, D.FisherSnedecor, D.Pareto, D.StudentT, D.InverseGamma)):    # heavy tails
            np.testing.assert_allclose(x.var(0), d.variance.numpy(), rtol=0.1)
    np.testing.assert_allclose(d.stddev.numpy(), np.sqrt(d.variance.numpy()), rtol=1e-12)
    try:
        entropy = d.entropy().numpy()
    except NotImplementedError:
        return
    log_prob = density(x, A, B)
    assert (abs(-log_prob.mean(0) - entropy) < 6 * log_prob.std(0) / 200 + 1e-6).all()
    np.testing.assert_allclose(d.perplexity().numpy(), np.exp(entropy))


@pytest.mark.parametrize("make,density", DENSITIES)
def test_cdf_and_icdf(make, density):
    d = make(t(*A), t(*B))
    ad.manual_seed(2)
    x = d.sample((3,))
    try:
        p = d.cdf(x)
    except NotImplementedError:
        return
    np.testing.assert_allclose(p.numpy(), (d.sample((40000, 1)) <= x).double().mean(0).numpy(), atol=0.015)
    try:
        back = d.icdf(p)
    except NotImplementedError:
        return
    np.testing.assert_allclose(back.numpy(), x.numpy(), rtol=1e-6)


@pytest.mark.parametrize("make", [m for m, _ in DENSITIES if m(t(*A), t(*B)).has_rsample])
def test_gradient_of_the_mean_of_samples(make):
    """d E[x] / d parameter from samples, against the derivative of the mean."""
    a, b = t(*A).requires_grad_(), t(*B).requires_grad_()
    d = make(a, b)
    if not bool(d.mean.isfinite().all()):
        return
    ad.manual_seed(0)
    x = d.rsample((40000,))
    got = ad.autograd.grad(x.mean(0).sum(), [a, b], allow_unused=True, retain_graph=True)
    want = ad.autograd.grad(make(a, b).mean.sum(), [a, b], allow_unused=True)
    for g, w in zip(got, want):
        g, w = (0.0 if v is None else v.numpy() for v in (g, w))
        np.testing.assert_allclose(g, w, rtol=0.1, atol=0.05)


def test_dirichlet_gradient():
    a = t(0.5, 2.0, 3.0).requires_grad_()
    ad.manual_seed(0)
    x = D.Dirichlet(a).rsample((40000,))
    weights = t(1.0, -2.0, 0.5)
    got, = ad.autograd.grad((x * weights).sum(-1).mean(), [a])
    want, = ad.autograd.grad((a / a.sum() * weights).sum(), [a])
    np.testing.assert_allclose(got.numpy(), want.numpy(), atol=0.01)


@pytest.mark.parametrize("alpha", [0.03, 0.4, 1.0, 3.0, 20.0, 3e4])
def test_gamma_derivative(alpha):
    """The derivative of a quantile, by differences of the distribution function."""
    ad.manual_seed(0)
    x = ad._standard_gamma(ad.full((40,), alpha, dtype=ad.float64))
    x = x[x > 1e-30]
    step = 1e-5 * alpha
    low, high = (ad.special.gammainc(ad.full_like(x, alpha + s), x) for s in (-step, step))
    density = ((alpha - 1) * x.log() - x - math.lgamma(alpha)).exp()
    want = -(high - low) / (2 * step) / density
    got = ad._standard_gamma_grad(ad.full_like(x, alpha), x)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=2e-4)


def test_categorical():
    logits = ad.from_numpy(RNG.standard_normal((3, 4)))
    d = D.Categorical(logits=logits.requires_grad_())
    p = np.exp(logits.detach().numpy())
    p /= p.sum(-1, keepdims=True)
    np.testing.assert_allclose(d.probs.detach().numpy(), p)
    np.testing.assert_allclose(d.entropy().detach().numpy(), -(p * np.log(p)).sum(-1))
    ad.manual_seed(0)
    x = d.sample((20000,))
    assert x.shape == (20000, 3) and x.dtype is ad.int64
    counts = np.stack([(x.numpy() == k).mean(0) for k in range(4)], -1)
    np.testing.assert_allclose(counts, p, atol=0.02)
    np.testing.assert_allclose(d.log_prob(x[:5]).detach().numpy(),
                               np.log(p)[np.arange(3)[None], x[:5].numpy()])
    d.log_prob(x[0]).sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), np.eye(4)[x[0].numpy()] - p, atol=1e-12)
    assert d.sample().shape == (3,) and d.sample((2, 5)).shape == (2, 5, 3)
    assert d.enumerate_support().shape == (4, 3) and d.enumerate_support(expand=False).shape == (4, 1)
    assert d.log_prob(d.enumerate_support()).shape == (4, 3)
    np.testing.assert_allclose(D.Categorical(probs=ad.tensor([1.0, 3.0])).probs.numpy(), [0.25, 0.75])
    assert (D.Categorical(probs=ad.tensor([0.0, 1.0])).entropy() < 1e-4).all()
    assert d.mode.tolist() == p.argmax(-1).tolist()


def test_one_hot_multinomial_and_relaxed():
    logits = ad.from_numpy(RNG.standard_normal((3, 4))).requires_grad_()
    ad.manual_seed(0)
    one = D.OneHotCategorical(logits=logits)
    x = one.sample((50,))
    assert x.shape == (50, 3, 4) and (x.sum(-1) == 1).all()
    np.testing.assert_allclose(one.log_prob(x).detach().numpy(),
                               D.Categorical(logits=logits).log_prob(x.argmax(-1)).detach().numpy())
    through = D.OneHotCategoricalStraightThrough(logits=logits).rsample()
    assert through.requires_grad and np.allclose(sorted(through[0].tolist()), [0, 0, 0, 1])
    many = D.Multinomial(10, logits=logits)
    counts = many.sample((2000,))
    assert (counts.sum(-1) == 10).all()
    np.testing.assert_allclose(counts.mean(0).numpy(), many.mean.detach().numpy(), atol=0.2)
    value = counts[0].numpy()
    p = many.probs.detach().numpy()
    want = lgamma(11) - lgamma(value + 1).sum(-1) + (value * np.log(p)).sum(-1)
    np.testing.assert_allclose(many.log_prob(counts[0]).detach().numpy(), want)
    cold = D.RelaxedOneHotCategorical(t(0.01)[0], logits=logits).rsample((30,))
    assert cold.requires_grad and (cold.amax(-1) > 0.9).double().mean() > 0.9
    assert D.RelaxedBernoulli(t(0.5)[0], probs=t(0.2, 0.7)).rsample((5,)).shape == (5, 2)


def test_multivariate_normal():
    m = RNG.standard_normal((3, 3))
    covariance = m @ m.T + np.eye(3)
    loc = RNG.standard_normal(3)
    tril = np.linalg.cholesky(covariance)
    x = RNG.standard_normal((5, 3))
    want = (-0.5 * np.einsum("ni,ij,nj->n", x - loc, np.linalg.inv(covariance), x - loc)
            - 0.5 * np.log(np.linalg.det(2 * np.pi * covariance)))
    for options in ({"covariance_matrix": covariance}, {"precision_matrix": np.linalg.inv(covariance)},
                    {"scale_tril": tril}):
        d = D.MultivariateNormal(t(*loc), **{k: ad.from_numpy(v) for k, v in options.items()})
        np.testing.assert_allclose(d.log_prob(ad.from_numpy(x)).numpy(), want)
        np.testing.assert_allclose(d.covariance_matrix.numpy(), covariance, rtol=1e-6)
        np.testing.assert_allclose(d.precision_matrix.numpy(), np.linalg.inv(covariance), rtol=1e-6)
        np.testing.assert_allclose(d.scale_tril.numpy(), tril, rtol=1e-6)
        np.testing.assert_allclose(d.entropy().numpy(), 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * covariance)))
        ad.manual_seed(0)
        np.testing.assert_allclose(np.cov(d.sample((40000,)).numpy().T), covariance, atol=0.2)
    factor, diagonal = RNG.standard_normal((3, 2)), np.exp(RNG.standard_normal(3))
    low = D.LowRankMultivariateNormal(t(*loc), ad.from_numpy(factor), ad.from_numpy(diagonal))
    full = D.MultivariateNormal(t(*loc), ad.from_numpy(factor @ factor.T + np.diag(diagonal)))
    for of in (lambda d: d.log_prob(ad.from_numpy(x)), lambda d: d.entropy(), lambda d: d.variance,
               lambda d: d.precision_matrix, lambda d: d.scale_tril,
               lambda d: kl_divergence(d, D.MultivariateNormal(t(*loc), ad.from_numpy(covariance))),
               lambda d: kl_divergence(D.MultivariateNormal(t(*loc), ad.from_numpy(covariance)), d),
               lambda d: kl_divergence(low, d)):
        np.testing.assert_allclose(of(low).numpy(), of(full).numpy(), atol=1e-9)


def test_matrices():
    ad.manual_seed(0)
    d = D.LKJCholesky(3, t(0.5, 2.0))
    x = d.sample((1000,))
    assert constraints.corr_cholesky.check(x).all() and d.log_prob(x).shape == (1000, 2)
    np.testing.assert_allclose((x @ x.mT).mean(0).numpy()[1], np.eye(3), atol=0.1)
    m = RNG.standard_normal((3, 3))
    covariance = ad.from_numpy(m @ m.T + np.eye(3))
    w = D.Wishart(t(7.0)[0], covariance)
    np.testing.assert_allclose(w.sample((4000,)).mean(0).numpy(), w.mean.numpy(), rtol=0.2, atol=1.0)
    x = w.sample()
    log_det = np.linalg.slogdet(x.numpy())[1] - 7 * np.linalg.slogdet(covariance.numpy())[1]
    want = (0.5 * (np.linalg.slogdet(x.numpy())[1] * 3 - np.trace(np.linalg.solve(covariance.numpy(), x.numpy())))
            - 0.5 * 7 * np.linalg.slogdet(covariance.numpy())[1] - 10.5 * np.log(2)
            - (1.5 * np.log(np.pi) + sum(math.lgamma((7 - k) / 2) for k in range(3))))
    assert np.isfinite(log_det)
    np.testing.assert_allclose(w.log_prob(x).numpy(), want)


def test_independent_mixture_and_transformed():
    loc, scale = ad.from_numpy(RNG.standard_normal((4, 3))), ad.ones(4, 3, dtype=ad.float64)
    base = D.Normal(loc, scale)
    d = D.Independent(base, 1)
    assert d.batch_shape == (4,) and d.event_shape == (3,)
    x = d.sample()
    np.testing.assert_allclose(d.log_prob(x).numpy(), base.log_prob(x).sum(-1).numpy())
    mixture = D.MixtureSameFamily(D.Categorical(ad.ones(4, dtype=ad.float64)), d)
    want = np.log(np.exp(d.log_prob(x[:1]).numpy()).mean())
    np.testing.assert_allclose(mixture.log_prob(x[0]).numpy(), want)
    assert mixture.sample((5,)).shape == (5, 3)
    squashed = D.TransformedDistribution(base, [D.TanhTransform(cache_size=1), D.AffineTransform(1.0, 2.0)])
    y = squashed.rsample()
    z = np.arctanh((y.numpy() - 1) / 2)
    np.testing.assert_allclose(squashed.log_prob(y).numpy(),
                               base.log_prob(ad.from_numpy(z)).numpy() - np.log(2 * (1 - np.tanh(z) ** 2)), atol=1e-6)
    assert squashed.expand((2, 4, 3)).sample().shape == (2, 4, 3)


TRANSFORMS = [
    (D.ExpTransform(), (3,)), (D.SigmoidTransform(), (3,)), (D.SoftplusTransform(), (3,)), (D.TanhTransform(), (3,)),
    (D.PowerTransform(t(2.5)[0]), (3,)), (D.AffineTransform(1.0, -2.0), (3,)), (D.StickBreakingTransform(), (2, 3)),
    (D.CorrCholeskyTransform(), (2, 6)), (D.ReshapeTransform((6,), (2, 3)), (4, 6)), (D.ExpTransform().inv, (3,)),
    (D.ComposeTransform([D.AffineTransform(1.0, 2.0), D.ExpTransform()]), (3,)), (D.LowerCholeskyTransform(), (3, 3)),
    (D.IndependentTransform(D.ExpTransform(), 1), (2, 3)), (D.PositiveDefiniteTransform(), (3, 3)),
    (D.StackTransform([D.ExpTransform(), D.TanhTransform()], dim=0), (2, 3)), (D.SoftmaxTransform(), (2, 3)),
    (D.CatTransform([D.ExpTransform(), D.TanhTransform()], dim=0, lengths=[1, 2]), (3, 2)),
    (D.CumulativeDistributionTransform(D.Normal(t(0.5)[0], t(2.0)[0])), (3,)),
]


@pytest.mark.parametrize("transform,shape", TRANSFORMS)
def test_transforms(transform, shape):
    x = ad.from_numpy(RNG.standard_normal(shape))
    if isinstance(transform, (D.PowerTransform, type(D.ExpTransform().inv))):
        x = x.abs()
    y = transform(x)
    assert transform.codomain.check(y).all() if not constraints.is_dependent(transform.codomain) else True
    assert tuple(transform.forward_shape(x.shape)) == tuple(y.shape)
    assert tuple(transform.inverse_shape(y.shape)) == tuple(x.shape)
    again = transform(transform.inv(y))
    np.testing.assert_allclose(again.numpy(), y.numpy(), rtol=1e-6, atol=1e-9)
    if not transform.bijective:
        return
    np.testing.assert_allclose(transform.inv(y).numpy(), x.numpy(), rtol=1e-6, atol=1e-9)
    log = transform.log_abs_det_jacobian(x, y)
    np.testing.assert_allclose(transform.inv.log_abs_det_jacobian(y, x).numpy(), -log.numpy())
    if y.shape == x.shape and log.shape == x.shape:
        x.requires_grad_()
        slope, = ad.autograd.grad(transform(x).sum(), [x])
        np.testing.assert_allclose(log.detach().numpy(), np.log(abs(slope.numpy())), atol=1e-6)
    assert transform.inv.inv is transform
    if type(transform) is not D.CumulativeDistributionTransform:
        assert pickle.loads(pickle.dumps(transform))(x).shape == y.shape


def test_stick_breaking_determinant():
    transform = D.StickBreakingTransform()
    x = ad.from_numpy(RNG.standard_normal(4))
    jacobian = ad.autograd.functional.jacobian(lambda v: transform(v)[:-1], x)
    np.testing.assert_allclose(transform.log_abs_det_jacobian(x, transform(x)).numpy(),
                               np.linalg.slogdet(jacobian.numpy())[1])


@pytest.mark.parametrize("constraint", [constraints.positive, constraints.unit_interval, constraints.real,
                                        constraints.interval(-2.0, 3.0), constraints.less_than(4.0),
                                        constraints.greater_than(4.0), constraints.simplex, constraints.real_vector,
                                        constraints.corr_cholesky])
def test_registries(constraint):
    x = ad.from_numpy(RNG.standard_normal((5, 3)))
    for registry in (D.biject_to, D.transform_to):
        y = registry(constraint)(x)
        assert constraint.check(y).all()
    with pytest.raises(NotImplementedError):
        D.biject_to(constraints.boolean)
    with pytest.raises(TypeError):
        D.biject_to.register(3, lambda c: c)


PAIRS = [(lambda a, b: D.Normal(a, b), 2), (lambda a, b: D.Gamma(a, b), 2), (lambda a, b: D.Beta(a, b), 2),
         (lambda a, b: D.Exponential(a), 2), (lambda a, b: D.Laplace(a, b), 2), (lambda a, b: D.Gumbel(a, b), 2),
         (lambda a, b: D.Poisson(a), 2), (lambda a, b: D.Bernoulli(a / 4), 2), (lambda a, b: D.Geometric(a / 4), 2),
         (lambda a, b: D.Binomial(5, a / 4), 2), (lambda a, b: D.HalfNormal(a), 2), (lambda a, b: D.LogNormal(a, b), 2),
         (lambda a, b: D.Categorical(ad.stack([a, b], -1)), 2), (lambda a, b: D.Dirichlet(ad.stack([a, b], -1)), 2),
         (lambda a, b: D.Pareto(ad.ones_like(a), b), 2), (lambda a, b: D.Cauchy(a, b), 2),
         (lambda a, b: D.ContinuousBernoulli(a / 4), 2), (lambda a, b: D.Independent(D.Normal(a, b), 1), 0)]


@pytest.mark.parametrize("make,dims", PAIRS)
def test_divergence_is_the_mean_of_the_difference(make, dims):
    p, q = make(t(*A), t(*B)), make(t(*B), t(*A))
    ad.manual_seed(0)
    x = p.sample((60000,))
    difference = (p.log_prob(x) - q.log_prob(x)).numpy()
    got = kl_divergence(p, q).numpy()
    assert (abs(got - difference.mean(0)) < 6 * difference.std(0) / 245 + 1e-6).all()
    np.testing.assert_allclose(kl_divergence(p, p).numpy(), 0, atol=1e-12)


def test_divergences_register():
    class Mine(D.Normal):
        pass

    @D.register_kl(Mine, D.Normal)
    def _(p, q):
        return "mine"
    p, q = Mine(0.0, 1.0), D.Normal(0.0, 1.0)
    assert kl_divergence(p, q) == "mine" and kl_divergence(q, q) == 0
    with pytest.raises(NotImplementedError, match="No KL"):
        kl_divergence(D.Cauchy(0.0, 1.0), q)
    with pytest.raises(TypeError):
        D.register_kl(int, D.Normal)
    assert kl_divergence(D.Normal(0.0, 1.0), D.Uniform(0.0, 1.0)) == math.inf


@pytest.mark.parametrize("make,message", [
    (lambda: D.Normal(0.0, -1.0), "to satisfy the constraint GreaterThan"),
    (lambda: D.Normal(0.0, 1.0).log_prob(ad.tensor(math.nan)), "within the support"),
    (lambda: D.Normal(0.0, 1.0).log_prob(3), "must be a Tensor"),
    (lambda: D.Normal(ad.zeros(2), 1.0).log_prob(ad.zeros(3)), "not broadcastable"),
    (lambda: D.Normal("a", 1.0), "Number"), (lambda: D.Categorical(), "must be specified"),
    (lambda: D.Categorical(ad.tensor(1.0)), "one-dimensional"),
    (lambda: D.Categorical(logits=ad.zeros(3)).log_prob(ad.tensor(3)), "IntegerInterval"),
    (lambda: D.Categorical(logits=ad.tensor([math.nan, 1.0])), "found invalid values"),
    (lambda: D.Uniform(1.0, 0.0), "LessThan"), (lambda: D.Dirichlet(ad.tensor(1.0)), "one-dimensional"),
    (lambda: D.MultivariateNormal(ad.zeros(2), -ad.eye(2)), "PositiveDefinite"),
    (lambda: D.MultivariateNormal(ad.zeros(2)), "Exactly one"), (lambda: D.LKJCholesky(1), "dim"),
    (lambda: D.Independent(D.Normal(0.0, 1.0), 1), "reinterpreted_batch_ndims"),
    (lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), 3), "transforms"),
    (lambda: D.Distribution.set_default_validate_args(2), "^$"), (lambda: D.Bernoulli(0.5, 0.5), "must be specified"),
    (lambda: D.Geometric(0.0), "positive"), (lambda: D.ExpTransform(cache_size=2), "cache_size")])
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_validation_is_off_when_asked():
    D.Normal(0.0, -1.0, validate_args=False)
    D.Distribution.set_default_validate_args(False)
    try:
        D.Normal(0.0, -1.0)
    finally:
        D.Distribution.set_default_validate_args(True)


def test_subclasses():
    class Squashed(D.Normal):
        def __init__(self, loc):
            super().__init__(loc, 1.0)

    with pytest.raises(NotImplementedError, match="custom .expand"):
        Squashed(ad.zeros(2)).expand((3, 2))
    assert repr(Squashed(0.0)) == "Squashed(loc: 0.0, scale: 1.0)"


def test_counts():
    """poisson, binomial: moments, broadcasting, numbers that no distribution has."""
    ad.manual_seed(0)
    for rate in (0.0, 0.3, 9.0, 50.0, 1e6):
        x = ad.poisson(ad.full((20000,), rate, dtype=ad.float64)).numpy()
        assert abs(x.mean() - rate) <= 5 * math.sqrt(rate / 20000) and (x == np.floor(x)).all()
    for n, p in ((5, 0.3), (100, 0.9), (1e6, 0.5), (3, 0.0), (3, 1.0)):
        x = ad.binomial(ad.full((20000,), float(n)), ad.tensor(p)).numpy()
        assert abs(x.mean() - n * p) <= 5 * math.sqrt(n * p * (1 - p) / 20000) + 1e-3 * n
        assert (x >= 0).all() and (x <= n).all()
    assert ad.binomial(ad.ones(2), ad.ones(3, 1)).shape == (3, 2)
    with pytest.raises(RuntimeError, match="non-negative"):
        ad.poisson(ad.tensor([1.0, math.nan]))
    with pytest.raises(NotImplementedError, match="Long"):
        ad.poisson(ad.ones(2, dtype=ad.int64))
    with pytest.raises(ValueError, match="floating-point"):
        ad.binomial(ad.ones(2, dtype=ad.int64), ad.ones(2))
    with pytest.raises(RuntimeError, match="expected"):
        ad.binomial(ad.ones(2), ad.ones(2).double())
    assert ad.binomial(ad.tensor([math.nan, 2.0, math.inf]), ad.tensor([0.5, math.nan, 0.5])).isnan().all()
    assert ad.poisson(ad.tensor([math.inf])).isnan().all() and ad.poisson(ad.zeros(0)).shape == (0,)
    odd = ad._standard_gamma(ad.tensor([math.nan, -1.0, 0.0, math.inf]))
    assert odd[:2].isnan().all() and 0 < odd[2] < 1e-37 and odd[3] == math.inf
    assert ad._sample_dirichlet(ad.ones(2, 0)).shape == (2, 0)
    x = ad.ones(3, requires_grad=True)
    ad.poisson(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_captured_samples_are_those_of_eager_steps():
    alpha = ad.tensor([0.5, 2.0])

    def step(x):
        return (ad._standard_gamma(alpha) + ad.poisson(x), ad._sample_dirichlet(alpha) * ad.binomial(x + 20, x / 9))
    compiled = ad.compile(step)
    rows = []
    for run in (step, compiled):
        ad.manual_seed(3)
        rows.append([[v.numpy() for v in run(ad.tensor([3.0, 4.0]))] for _ in range(4)])
    for a, b in zip(*rows):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_captured_policy_step():
    """A step with distributions, which check their arguments in eager steps alone."""
    net = [ad.nn.Parameter(ad.ones(3, 4) * 0.1), ad.nn.Parameter(ad.ones(3, 2) * 0.2)]

    def step(x):
        for p in net:
            p.grad = None
        choice, size = D.Categorical(logits=x @ net[0]), D.Normal(x @ net[1], 0.5)
        a, z = choice.sample(), size.rsample()
        loss = -(choice.log_prob(a) + choice.entropy()).sum() - size.log_prob(z.detach()).sum() + (z**2).sum()
        loss.backward()
        return a, z.detach(), loss.detach(), net[0].grad, net[1].grad
    x, rows = ad.from_numpy(RNG.standard_normal((5, 3)).astype("f")), []
    for run in (step, ad.compile(step)):
        ad.manual_seed(1)
        rows.append([[v.numpy() for v in run(x)] for _ in range(4)])
    for a, b in zip(*rows):
        for u, v in zip(a, b):
            np.testing.assert_array_equal(u, v)
