// What README says that it costs: some rows of the record, in words for who decides whether to run it.
const ROWS = [
  ['a manifest by digest that is held, requests a second', 'manifest by digest, held, /s'],
  ['a manifest by tag that is held, requests a second', 'manifest by tag, held, /s'],
  ['a small blob that is held, requests a second', 'small blob, held, /s'],
  ['a layer of 200 MiB that is held, GB a second', 'large blob, held, one client, GB/s'],
  ['the same, processor seconds a GB', 'large blob, held, one client, CPU-s/GB'],
  ['the same over TLS, GB a second', 'large blob, held, over TLS, GB/s'],
  ['its first pull from an upstream that sends 250 MB a second, seconds', 'first pull at 250 MB/s, s'],
  ['its first pull from an upstream on the same machine, seconds', 'first pull, unthrottled, s'],
  ['`docker pull` of ten layers that are held, seconds', 'docker pull of ten layers, held, s'],
  ['its memory at rest, MiB', 'idle, 20 s after its start, MiB'],
  ['its memory with 10,000 idle connections, MiB', '10,000 idle connections, MiB'],
  ['its memory with 1,000 clients that read layers slowly, MiB', '1,000 readers, half at 100 kB/s and half at 1 MB/s, MiB'],
];

/** Who stands beside it in those rows, by the name in the record. */
const BESIDE = {
  official: 'the official registry 2.8 as a mirror',
  'nginx-cache': 'nginx `proxy_cache`',
  'nginx-files': 'nginx, from files',
  direct: 'without a mirror',
};

const MARKERS = /(<!-- costs:start -->\n)[\s\S]*?(<!-- costs:end -->)/;

/** README with the table between its markers as the record has it. */
export const withCosts = (readme, record) => readme.replace(MARKERS, (_, start, end) => `${start}${costs(record)}\n${end}`);

function costs({ machine, rows }) {
  const lines = ROWS.map(([words, what]) => {
    const row = rows.find((each) => each.what === what);
    if (row === undefined) throw new Error(`test/bench/results.json has no row "${what}"`);
    const { entrepot = { median: row.value }, ...others } = row.figures ?? {};
    const beside = Object.entries(others).filter(([name]) => name in BESIDE);
    return `| ${words} | ${shown(entrepot.median)} | ${beside.map(([name, { median }]) => `${BESIDE[name]}: ${shown(median)}`).join('; ')} |`;
  });
  return [`One process on ${machine}.`, '', '| what | Entrepot | beside it |', '| --- | --- | --- |', ...lines, ''].join('\n');
}

const shown = (value) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(2));
