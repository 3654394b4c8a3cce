import { playSlices } from './slices.ts';

playSlices(1001, 1000);
