import { playSlices } from './slices.ts';

// With the second thousand what every run of the suite plays; `npm run sim -- --seeds N` plays more.
playSlices(1, 1000);
