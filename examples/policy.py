"""Proximal policy optimization (Schulman et al., 2017) learns to balance a pole on a cart.

The cart-pole problem of Barto, Sutton and Anderson (1983) is written below: push the cart left or right every 20 ms; an
episode ends when the pole leans by more than 12 degrees, the cart leaves the track of 2.4 m to each side, or after 500
pushes. Each push gives a reward of 1. Trained, the policy, taking its more likely action, must reach a mean of 475 or
more over 100 new episodes.
"""

import math

import numpy as np
from _common import arguments, finish, plots, save, torch

nn, optim = torch.nn, torch.optim
Categorical = torch.distributions.Categorical
args = arguments(__doc__, updates=60)

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, TICK = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # m/s^2, kg, kg, m, N, s
CARTS, PUSHES, GAMMA, LAMBDA, CLIP, EPOCHS, BATCH = 16, 128, 0.99, 0.95, 0.2, 4, 256
SCALE = 0.05  # of rewards: what the critic has to learn stays near 1


class CartPole:
    """n carts at once. A state is (position m, speed m/s, angle rad, angular speed rad/s)."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self.rng, self.state, self.age = rng, rng.uniform(-0.05, 0.05, (n, 4)), np.zeros(n, int)

    def step(self, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Push each cart; returns the states (n, 4) that follow, and whose episode fell or timed out (n,) each.

        A cart whose episode is over starts anew: its state in self.state is the new one.
        """
        x, speed, angle, turn = self.state.T
        total, lever = CART + POLE, POLE * HALF_LENGTH
        push = (np.where(right, FORCE, -FORCE) + lever * turn**2 * np.sin(angle)) / total
        turning = (GRAVITY * np.sin(angle) - np.cos(angle) * push) / (
            HALF_LENGTH * (4 / 3 - POLE * np.cos(angle) ** 2 / total))
        pushing = push - lever * turning * np.cos(angle) / total
        reached = np.stack([x + TICK * speed, speed + TICK * pushing, angle + TICK * turn, turn + TICK * turning], 1)
        self.age += 1
        fell = (abs(reached[:, 0]) > 2.4) | (abs(reached[:, 2]) > math.radians(12))
        late = ~fell & (self.age >= 500)
        fresh = self.rng.uniform(-0.05, 0.05, reached.shape)
        self.state = np.where((fell | late)[:, None], fresh, reached)
        self.age[fell | late] = 0
        return reached, fell, late


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))


actor = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
with torch.no_grad():
    actor[-1].weight.mul_(0.01)  # at first, either push is as likely
parameters = [*actor.parameters(), *critic.parameters()]
optimizer = optim.Adam(parameters, lr=1e-3)
schedule = optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, args.updates)

world = CartPole(CARTS, np.random.default_rng(args.seed))
running, lengths, curve = np.zeros(CARTS), [], []
for update in range(args.updates):
    # act, and remember
    states, actions, log_probs, values, rewards, over = [], [], [], [], [], []
    for _ in range(PUSHES):
        state = tensor(world.state)
        with torch.no_grad():
            policy = Categorical(logits=actor(state))
            action = policy.sample()
            value = critic(state).squeeze(1)
        reached, fell, late = world.step(action.numpy() == 1)
        with torch.no_grad():  # an episode that timed out would have gone on: its end is worth what the critic says
            beyond = GAMMA * critic(tensor(reached)).squeeze(1) * tensor(late) if late.any() else 0.0
        states.append(state)
        actions.append(action)
        log_probs.append(policy.log_prob(action))
        values.append(value)
        rewards.append(SCALE + beyond + torch.zeros(CARTS))
        over.append(tensor(fell | late))
        running += 1
        lengths += running[fell | late].tolist()
        running[fell | late] = 0

    # how much better each push turned out than the critic expected: generalized advantage estimation, backwards
    with torch.no_grad():
        following, ahead, advantages = critic(tensor(world.state)).squeeze(1), torch.zeros(CARTS), []
        for reward, value, end in zip(reversed(rewards), reversed(values), reversed(over)):
            ahead = reward + GAMMA * following * (1 - end) - value + GAMMA * LAMBDA * (1 - end) * ahead
            following = value
            advantages.insert(0, ahead)
    state, action, old = torch.cat(states), torch.cat(actions), torch.cat(log_probs)
    advantage = torch.cat(advantages)
    target = advantage + torch.cat(values)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)

    # improve, but not so far that what was remembered no longer tells
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(state)).split(BATCH):
            policy = Categorical(logits=actor(state[rows]))
            ratio = (policy.log_prob(action[rows]) - old[rows]).exp()
            gain = torch.min(ratio * advantage[rows], ratio.clamp(1 - CLIP, 1 + CLIP) * advantage[rows]).mean()
            misjudged = (critic(state[rows]).squeeze(1) - target[rows]).square().mean()
            loss = -gain + 0.5 * misjudged - 0.01 * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 0.5)
            optimizer.step()
    schedule.step()
    curve.append(float(np.mean(lengths[-100:])))
    if (update + 1) % 10 == 0:
        print(f"update {update + 1:3d}: mean reward of the last 100 episodes {curve[-1]:.0f}")

trial, balanced, alive = CartPole(100, np.random.default_rng(1000 + args.seed)), np.zeros(100), np.ones(100, bool)
while alive.any():
    with torch.no_grad():
        right = actor(tensor(trial.state)).argmax(dim=1).numpy() == 1
    _, fell, late = trial.step(right)
    balanced += alive
    alive &= ~(fell | late)
print(f"100 new episodes: mean reward {balanced.mean():.1f}, least {balanced.min():.0f}")

if plt := plots():
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    ends = np.arange(1, len(curve) + 1) * CARTS * PUSHES
    ax.plot(ends, curve, label="mean of the last 100 episodes")
    ax.axhline(475, color="gray", linestyle="--", label="475")
    ax.plot(ends[-1], balanced.mean(), "o", color="tab:green", label="100 new episodes, the likelier push each time")
    ax.set(xlabel="pushes", ylabel="reward of an episode", title="proximal policy optimization on the cart and pole")
    ax.legend()
    save(figure, "policy", args)

finish(args, reward=balanced.mean(), curve=curve)
assert balanced.mean() >= 475
