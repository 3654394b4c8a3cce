/**
 * What registries, mirrors and the libraries that we stand on were published with. A test names each as `[CVE-2020-15157]` in its
 * title, a mutant in its `guards`; where we have nothing that could have the weakness, it says why.
 */
export interface Advisory {
  /** All under which it was published; a test names each. */
  readonly numbers: readonly string[];
  /** Whose it was, and what. */
  readonly was: string;
  /** Why there is no test. */
  readonly instead?: string;
  /** Who keeps it out, where that is none of our own code, so that it has no mutant: the test shows that they do. */
  readonly by?: string;
}

const ROWS: readonly (readonly [numbers: string, was: string, instead?: string | undefined, by?: string])[] = [
  // Credentials, and the way to upstreams.
  ['CVE-2020-15157', 'containerd sent credentials to the realm that a layer’s own address named'],
  ['CVE-2026-33540 GHSA-3p65-76g6-3w7r', 'distribution, as a mirror, sent them to the realm that its upstream named'],
  ['GHSA-78h6-3wp8-2542', 'artifact-keeper did the same'],
  ['CVE-2026-32591', 'quay fetched from inner addresses for whoever could set up a proxy cache'],
  ['GHSA-g2rq-jv54-wcpr', 'Dragonfly asked whatever address it was given'],
  ['GHSA-chwm-m7g7-685g', 'Dragonfly did so for anybody, by the registry that a request names'],
  ['CVE-2020-13788 GHSA-33p6-fx42-7rf5', 'Harbor’s notifications looked through inner networks'],
  ['GHSA-98x5-jw98-6c97', 'Dragonfly did not verify certificates'],
  ['GHSA-mcvp-rpgg-9273', 'Dragonfly spoke plain HTTP, and believed a weak hash'],
  ['GHSA-35p6-xmwp-9g52', 'undici gave an answer that nobody had asked for to the next request', undefined, 'undici'],
  ['CVE-2026-48931', 'so did the agent of node:http', undefined, 'undici, which asks all upstreams'],
  ['CVE-2026-22036', 'undici undid any number of content codings'],
  ['CVE-2026-2581', 'undici held whole bodies in memory for those who shared them'],
  // Whose bytes these are.
  ['CVE-2024-39897 GHSA-55r9-5mx9-qq7r', 'zot showed any blob through any repository that one may read'],
  ['CVE-2026-35172 GHSA-f2g3-hh2r-cwgc', 'distribution showed a deleted blob again when another repository had asked for it'],
  ['CVE-2024-6915', 'Artifactory’s cache could be poisoned'],
  ['GHSA-qxv7-p3mq-88fv', 'artifact-keeper kept bytes that were not what their digest says'],
  [
    'CVE-2021-41190 GHSA-mc8v-mgrf-8f4m GHSA-77vh-xpmg-72qh GHSA-qq97-vm5h-rrhg GHSA-5j5w-g665-5m35',
    'one document was an index to some clients and an image to others',
  ],
  ['CVE-2026-31801 GHSA-85jx-fm8m-x8c6', 'zot asked for no right to change a tag called latest'],
  ['CVE-2023-33958', 'notation looked at as many signatures as there were'],
  // HTTP.
  ['CVE-2021-22959', 'Node took a blank before a colon'],
  ['CVE-2022-32213', 'Node took Transfer-Encoding for chunked though it was not'],
  ['CVE-2023-30589', 'Node ended a header line at CR alone', undefined, 'Node'],
  ['CVE-2024-27982', 'Node overlooked a Content-Length behind a blank', undefined, 'Node'],
  ['CVE-2024-22019', 'Node read chunk extensions without end', undefined, 'Node'],
  ['CVE-2026-1525', 'undici sent two lengths', undefined, 'Node'],
  ['CVE-2018-12122', 'Node waited for slow headers for ever'],
  [
    'CVE-2024-4956',
    'Nexus served files of its machine to encoded paths',
    undefined,
    'three things of which each would do (no escapes, dots that are folded, the grammar of names)',
  ],
  ['GHSA-79hx-3fp8-hj66', 'Dragonfly read and wrote wherever a path led', undefined, 'the same three things'],
  ['CVE-2024-3727 GHSA-6wvf-f2vw-3425', 'containers/image made a path of any text for a digest'],
  ['CVE-2026-39406', 'what Hono guards was reached by two slashes'],
  ['CVE-2026-39407', 'so were the files that it serves'],
  ['GHSA-wc8c-qw6v-h7f6', 'and by an encoded slash'],
  ['CVE-2026-47676', 'and by other spellings of a path'],
  ['GHSA-fv45-mwhh-q23r', 'artifact-keeper judged a name as it was written, and answered it decoded'],
  ['CVE-2026-47675', 'Hono wrote a cookie’s fields as they came'],
  ['CVE-2026-44456', 'Hono’s limit of bodies did not hold for chunks'],
  ['CVE-2026-54288', 'nor in another case'],
  ['CVE-2023-2253 GHSA-hqxw-f8mx-cpmw', 'distribution set memory aside for as many names as a request said'],
  ['CVE-2026-24472', 'Hono’s cache kept what was private'],
  ['CVE-2026-44457', 'and did not look at Vary'],
  ['CVE-2024-22244 GHSA-5757-v49g-f6r7', 'Harbor sent browsers wherever a parameter said'],
  ['GHSA-8jm4-4x6c-6787', 'artifact-keeper believed the leftmost X-Forwarded-For'],
  ['CVE-2026-24398', 'Hono took odd spellings for addresses'],
  ['CVE-2026-47674', 'and did not know an address in another spelling'],
  ['CVE-2026-21710', 'a header called __proto__ ended Node’s process', undefined, 'Node'],
  ['CVE-2026-21637', 'an error in SNICallback ended it too', 'no SNICallback is used: one certificate serves all names'],
  ['CVE-2026-21714', 'Node kept HTTP/2 sessions after a flow-control error'],
  [
    'CVE-2026-21717',
    'chosen keys collided in V8’s strings',
    'it is V8’s own, and mended in 20.20.2, 22.22.2 and 24.14.1: the image has one of those',
  ],
  ['CVE-2023-44487', 'HTTP/2 streams were opened and reset without end'],
  ['CVE-2019-9512', 'HTTP/2 pings without end'],
  ['CVE-2019-9515', 'HTTP/2 settings without end'],
  ['CVE-2019-9518', 'HTTP/2 frames with nothing in them'],
  ['CVE-2024-27316', 'HTTP/2 headers that never end', undefined, 'Node'],
  // Who are you, may you.
  ['GHSA-c2fc-9q9c-5486', 'Dragonfly compared secrets letter by letter'],
  ['CVE-2023-20902', 'so did Harbor'],
  ['CVE-2024-9683', 'quay looked at the beginning of a password alone'],
  ['CVE-2025-24976 GHSA-phw4-mc57-4hwc', 'distribution believed a key within a token by its name'],
  ['CVE-2026-22817 GHSA-f67f-6cw9-8mq4', 'Hono let a token choose how it is verified'],
  ['CVE-2026-44459 GHSA-hm8q-7f3q-5f36', 'Hono took times of any type'],
  ['CVE-2026-47673', 'Hono took a token under any scheme'],
  ['CVE-2025-30204', 'golang-jwt set memory aside for each dot of a token'],
  ['GHSA-c9p4-xwr9-rfhx', 'zot went on counting a group that somebody had left'],
  ['GHSA-qg67-7m6v-qg25', 'zot let whoever may push delete'],
  ['CVE-2026-41888', 'distribution deleted tags though deleting was switched off'],
  ['GHSA-5f2q', 'artifact-keeper asked for no right in some verbs of an upload'],
  ['GHSA-vvc3', 'and let tokens do more than they were for'],
  ['CVE-2025-4374', 'quay made repositories of a proxy for whoever asked'],
  ['CVE-2022-31666', 'Harbor let one change another’s, by its id'],
  ['CVE-2022-31667', 'the same, elsewhere'],
  ['CVE-2022-31670', 'the same, elsewhere'],
  ['GHSA-9rqp-mgmw-5879', 'artifact-keeper did so too'],
  ['GHSA-89vc-vf32-ch59', 'Dragonfly’s management asked nobody who they are'],
  ['GHSA-qcmj', 'artifact-keeper gave secrets back'],
  ['GHSA-c37v-3c8w-crq8', 'zot logged a client’s secret'],
  ['CVE-2026-4404 GHSA-hj7x-hmf2-hc2p', 'Harbor came with a password'],
  ['GHSA-8523', 'artifact-keeper logged its first password, and kept it where all could read it'],
  ['GHSA-qxxr', 'artifact-keeper took a refresh token twice'],
  ['CVE-2024-43787', 'Hono’s guard against foreign pages overlooked types in capitals'],
  ['CVE-2024-48913', 'and requests without a type'],
  // What is read in, and what is shown.
  ['CVE-2023-25153 GHSA-259w-8hf6-59c2', 'containerd read an archive into memory, however large'],
  ['GHSA-95fx-g94v-8jqg', 'artifact-keeper restored into any table'],
  ['GHSA-m37j-52j7-pjw7', 'oras-go unpacked outside of its directory', 'no archive is unpacked: blobs are kept as they are'],
  ['GHSA-8xwf-rjm4-xvhv', 'the same, by a link', 'no archive is unpacked'],
  ['GHSA-fxhp-mv3v-67qp', 'the same, by a hard link', 'no archive is unpacked'],
  ['CVE-2020-27832', 'quay ran what stood in a name, in its pages'],
  ['GHSA-4cw7-mgqj-hgmg', 'artifact-keeper passed an upstream’s pages on'],
  ['CVE-2026-44458', 'Hono’s pages could be written into'],
  ['CVE-2023-4956', 'quay’s pages could be framed', 'there are no pages, and nothing that a click changes'],
  ['CVE-2026-4401', 'nothing: one page names it, and no project does', 'it does not seem to exist'],
  ['CVE-2026-4402', 'nothing, as before', 'it does not seem to exist'],
];

export const ADVISORIES: readonly Advisory[] = ROWS.map(([numbers, was, instead, by]) => ({
  numbers: numbers.split(' '),
  was,
  ...(instead === undefined ? {} : { instead }),
  ...(by === undefined ? {} : { by }),
}));
