"""A transformer that writes one character after another, trained on thirty of Shakespeare's sonnets (1609, in the
public domain; examples/data/sonnets.txt).

It reads 64 characters and predicts, at each of them, the next one. Knowing nothing costs log(number of characters),
about 4 nats a character; knowing only how often each occurs, about 3. On the sonnets that it trains on, the loss must
fall below 1.7; on two sonnets kept apart, where it cannot know the words, below 2.2. Then it writes some lines.
"""

import math
import pathlib

from _common import arguments, finish, plots, save, torch

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
args = arguments(__doc__, steps=600, letters=400)
CONTEXT, WIDTH, HEADS, LAYERS, BATCH = 64, 128, 4, 3, 24

text = (pathlib.Path(__file__).parent / "data" / "sonnets.txt").read_text()
alphabet = sorted(set(text))
number = {letter: k for k, letter in enumerate(alphabet)}
encoded = torch.tensor([number[letter] for letter in text])
kept = len("\n\n".join(text.split("\n\n")[:-2]))
train, unseen = encoded[:kept], encoded[kept:]


class Block(nn.Module):
    """Attention to the characters before, then a small network at each; both added to what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH)
        self.join = nn.Linear(WIDTH, WIDTH)
        self.think = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, WIDTH) to (N, T, WIDTH)"""
        n, t, _ = x.shape
        qkv = self.queries_keys_values(self.norm1(x)).view(n, t, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (N, HEADS, T, WIDTH / HEADS)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(self.join(seen.transpose(1, 2).reshape(n, t, WIDTH)))
        return x + self.dropout(self.think(self.norm2(x)))


class Writer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(len(alphabet), WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm, self.scores = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(alphabet))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Characters (N, T) to scores of the next one at each (N, T, alphabet)."""
        return self.scores(self.norm(self.blocks(self.letters(x) + self.places(torch.arange(x.shape[1])))))


def samples(source: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """n stretches of the text (n, CONTEXT), and the characters that follow each of theirs."""
    starts = torch.randint(len(source) - CONTEXT, (n, 1))
    places = starts + torch.arange(CONTEXT)
    return source[places], source[places + 1]


def cost(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


@torch.no_grad()
def average(source: torch.Tensor) -> float:
    """The loss over a text, in nats a character."""
    model.eval()
    losses = [cost(*samples(source, BATCH)).item() for _ in range(10)]
    model.train()
    return sum(losses) / len(losses)


@torch.no_grad()
def write(letters: int, temperature: float = 0.8) -> str:
    model.eval()
    line = [number["\n"]]
    for _ in range(letters):
        scores = model(torch.tensor([line[-CONTEXT:]]))[0, -1]
        line.append(torch.multinomial(F.softmax(scores / temperature, dim=0), 1).item())
    return "".join(alphabet[k] for k in line[1:])


model = Writer()
optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
schedule = optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=args.steps)
size = sum(p.numel() for p in model.parameters())
print(f"{len(text)} characters, {len(alphabet)} different ones; {size} parameters")
share = torch.bincount(train) / len(train)
common = -(share * share.clamp(min=1e-9).log()).sum().item()

curve = []
for step in range(args.steps):
    loss = cost(*samples(train, BATCH))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    if step % 50 == 49:
        curve.append((step + 1, average(train), average(unseen)))
        print(f"step {step + 1:4d}: {curve[-1][1]:.3f} nats a character, {curve[-1][2]:.3f} on sonnets not seen")

written = write(args.letters)
print(f"\n{written}\n")
if plt := plots():
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    steps, seen, new = zip(*curve)
    left.plot(steps, seen, label="sonnets it trains on")
    left.plot(steps, new, label="two sonnets kept apart")
    left.axhline(math.log(len(alphabet)), color="gray", linestyle=":", label="knowing nothing")
    left.axhline(common, color="gray", linestyle="--", label="knowing how often each character occurs")
    left.set(xlabel="step", ylabel="nats a character", ylim=(0, None))
    left.legend()
    right.axis("off")
    right.set_title("what it writes")
    right.text(0, 1, written, va="top", family="serif")
    save(figure, "chargpt", args)

finish(args, trained=curve[-1][1], unseen=curve[-1][2], common=common, written=written)
assert curve[-1][1] < 1.7 and curve[-1][2] < 2.2
