/**
 * How busy a growing answer keeps the page: 4,000 tokens at 200 a second, through the component that shows them.
 * `npm run dev`, then /bench/markdown.html. Work is counted from the beginning of a frame until the first task after it
 * (scripts, layout and paint); the page may be at work for less than half of the time.
 */
import { createApp, defineComponent, h, nextTick, ref } from 'vue'
import '@/styles/tokens.css'
import '@/styles/base.css'
import MarkdownView from '@/components/markdown/MarkdownView.vue'
import { findBoxes } from '@/lib/boxes/boxes'
import { i18n } from '@/locales'

const TOKENS = 4000
const RATE = 200
const CHARACTERS = 4 // of a token, about

const section = (i: number) => `## Part ${i}\n\nThe **stamp** lies at [${100 + i},200,300,400] and says *paid*; see [the rule](https://example.com/${i}), \`code\` and $E = mc^2$.\nSecond line with words enough to wrap around the end of the column.\n\n`
const kinds: Record<string, string> = {
  mixed: Array.from({ length: 60 }, (_, i) => section(i) + (i % 4 === 0 ? '| item | price |\n|:--|--:|\n' + '| tea and cake | 3.50 |\n'.repeat(8) + '\n' : i % 4 === 1 ? '- one\n- **two** things\n  - nested\n- three\n\n' : i % 4 === 2 ? '```python\n' + 'def f(x): return x ** 2  # square\n'.repeat(8) + '```\n\n' : '$$\\int_0^1 x^2 dx = \\frac{1}{3}$$\n\n')).join(''),
  'one list': Array.from({ length: 400 }, (_, i) => `- item ${i} with **bold** words and \`code\` [${i + 10},200,${i + 90},300]\n`).join(''),
  'one table': '| name | price | box |\n|---|--:|---|\n' + Array.from({ length: 400 }, (_, i) => `| item ${i} | ${i}.50 | [${i + 10},200,${i + 90},300] |\n`).join(''),
  'one piece of code': '```python\n' + 'def f(x): return x ** 2  # square of a number\n'.repeat(400),
  'one paragraph': 'words that go on **and** on, without an end '.repeat(400),
}

const text = ref('')
const streaming = ref(true)
createApp(defineComponent(() => () => h(MarkdownView, { text: text.value, streaming: streaming.value, boxes: findBoxes(text.value) }))).use(i18n).mount('#app')

function afterFrame(): Promise<number> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => resolve(performance.now())
    port2.postMessage(null)
  })
}

async function run(source: string): Promise<string> {
  const whole = source.slice(0, TOKENS * CHARACTERS)
  streaming.value = true
  const began = performance.now()
  let [work, longest, frames] = [0, 0, 0]
  for (let shown = 0; shown < whole.length; frames++) {
    const start = await new Promise<number>((resolve) => requestAnimationFrame(() => resolve(performance.now())))
    shown = Math.floor(((start - began) / 1000) * RATE) * CHARACTERS
    text.value = whole.slice(0, shown)
    await nextTick()
    const took = (await afterFrame()) - start
    work += took
    longest = Math.max(longest, took)
  }
  const busy = work / (performance.now() - began)
  const end = performance.now()
  streaming.value = false
  await nextTick()
  const close = (await afterFrame()) - end
  return `${(busy * 100).toFixed(1)} % busy, longest frame ${longest.toFixed(0)} ms, ${((work / TOKENS) * 1000).toFixed(0)} us a token, ${frames} frames, end ${close.toFixed(0)} ms`
}

const result = document.getElementById('result') as HTMLElement
result.textContent = ''
for (const [kind, source] of Object.entries(kinds)) {
  const line = `${kind}: ${await run(source)}`
  result.textContent += `${line}\n`
  console.log(line)
}
console.log('done')
