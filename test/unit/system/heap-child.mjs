// A process of its own, whose heap nobody else has filled. Arguments: the built heap.js, whether its heap is to grow slowly.
// Says how often all of the heap is collected while 4,000,000 things grow old and are let go of again.
import { constants, PerformanceObserver } from 'node:perf_hooks';

const [heap, slowly] = process.argv.slice(2);
const { growHeapSlowly } = await import(heap);
if (slowly === 'slowly') growHeapSlowly();

const turn = () => new Promise((resolve) => void setImmediate(resolve));
let count = 0;
const observer = new PerformanceObserver((list) => {
  for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count += 1;
});
observer.observe({ entryTypes: ['gc'] });
const held = [];
for (let made = 0; made < 4_000_000; made += 1) {
  held[made % 400_000] = [made, made];
  if (made % 5000 === 0) await turn();
}
await turn();
console.log(count);
