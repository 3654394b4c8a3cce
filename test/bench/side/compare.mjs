// Figures of several servers side by side: each round runs all of them, in an order that turns, so that whatever the machine does
// besides meets all alike. A ratio is that of two medians of the same rounds, and there is none of anything else.

/** `contenders`: name → async () => { name of a figure: number }. Yields the rounds in which all of them ran. */
export async function alternate(title, contenders, rounds, say = () => undefined) {
  const names = Object.keys(contenders);
  const taken = [];
  for (let round = 0; round < rounds; round += 1) {
    const figures = {};
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round) % names.length];
      figures[name] = await contenders[name]();
      say(`${title}, round ${round + 1} of ${rounds}, ${name}: ${shown(figures[name])}`);
    }
    taken.push(figures);
  }
  return { title, names, rounds: taken };
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Of one contender: the median, and how far apart the least and the most lie, in per cent of it. */
export function figure({ rounds }, name, what) {
  const values = rounds.map((round) => round[name][what]);
  const middle = median(values);
  return { median: middle, spread: ((Math.max(...values) - Math.min(...values)) / middle) * 100 };
}

/** Throws where not every round had both, or where there are too few of them. */
export function ratio(taken, name, peer, what, roundsMin = 5) {
  const both = taken.rounds.filter((round) => round[name] !== undefined && round[peer] !== undefined);
  if (both.length !== taken.rounds.length || both.length < roundsMin)
    throw new Error(
      `${taken.title}: ${both.length} rounds had both ${name} and ${peer}, which makes no ratio: at least ${roundsMin}`,
    );
  return figure(taken, name, what).median / figure(taken, peer, what).median;
}

function shown(figures) {
  return Object.entries(figures)
    .map(([what, value]) => `${what} ${value >= 100 ? Math.round(value) : value.toPrecision(3)}`)
    .join(', ');
}
