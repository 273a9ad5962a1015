/** Questions worth keeping: those of the product's use cases, and the user's own. */

import type { Language } from '@/types'

export interface Prompt {
  id: string
  title: string
  text: string
  own: boolean
}

type Known = [id: string, en: [title: string, text: string], zh: [title: string, text: string]]

const KNOWN: Known[] = [
  ['describe', ['Describe', 'What is in this image?'], ['描述图片', '请描述这张图片的内容']],
  ['what', ['What is this?', 'What is this picture?'], ['这是什么', '这张图是什么?']],
  ['amounts', ['Amounts', 'List all amounts of money in the picture in order of appearance.'], ['金额', '提取图中所有金额数字,并按出现顺序列出']],
  ['expiry', ['Best before', "What is the best-before date on this product's package?"], ['保质期', '这个商品包装上写的保质期是哪天?']],
  ['read', ['Read the text', 'Read all the text.'], ['识别文字', '请识别图中所有文字内容,并翻译成英文']],
  ['people', ['People and safety', 'What are the people in this picture doing? Say it in one sentence and point out any safety hazard.'], ['人物与安全', '这张图里的人在做什么?请用一句话概括,并指出是否有安全隐患。']],
  ['style', ['Clothing and colours', "Describe the people's style of clothing and its colours."], ['穿着与配色', '描述图中人物穿着风格和配色方案']],
  ['brand', ['Brand', 'What brand is this bag?'], ['品牌', '这张图中的包是什么品牌?']],
  ['selling', ['Selling points', 'What brand is this, and what are its main selling points? List three.'], ['卖点', '这是什么品牌?主推卖点有哪些?用中文分三点列出。']],
  ['device', ['Device', 'Does this device support wireless charging? What is its battery capacity?'], ['设备参数', '这个设备支持无线充电吗?电池容量多少?']],
  ['audit', ['Product check', 'You check product pictures for an online shop. Check one by one: 1. is a price shown; 2. is there a brand logo; 3. are there forbidden advertising words such as "cheapest" or "best". Answer only with JSON with the fields price_found, logo_name, forbidden_list.'], ['电商审核', "你是一名资深电商审核员。请逐项检查:1. 是否显示具体价格数字;2. 是否出现未授权品牌Logo;3. 是否含'最便宜''第一'等违禁广告词。仅用JSON输出,字段:price_found, logo_name, forbidden_list"]],
  ['audit-json', ['Product check, strict JSON', 'Answer strictly in this JSON form: {"contains_price": boolean, "contains_brand_logo": "brand or null", "forbidden_words": ["word 1", "word 2"]}. Only JSON, no explanation.'], ['审核 JSON', '请严格按以下JSON格式输出:{"contains_price": boolean, "contains_brand_logo": "品牌名或null", "forbidden_words": ["违禁词1", "违禁词2"]}. 只输出JSON,不要任何解释。']],
  ['marking', ['Mark a worksheet', 'Check the working of every question, mark all wrong calculations, misused formulas and gaps in the logic, and give the place of each in the picture.'], ['批改作业', '请逐题检查解题过程,标出所有计算错误、公式误用或逻辑漏洞,并用红色标注原文位置。']],
  ['contract', ['Contract page', 'Check whether this page has one of these problems: 1) the signature of party A is missing; 2) the seal of party B cannot be read; 3) the amount in words and in figures differ; 4) there is a clause such as "the right of final interpretation is ours".'], ['合同检查', "检查该页是否包含以下任一问题:1) 甲方签字栏为空;2) 乙方公章模糊不可辨;3) 金额大写与小写不一致;4) 出现'最终解释权归我方所有'等违规表述。"]],
  ['inspection', ['Find defects', 'Answer as JSON with the fields: { defects: [str], severity: high/medium/low, suggestion: str }.'], ['缺陷检查', '请用 JSON 格式返回,字段为:{ defects: [str], severity: high/medium/low, suggestion: str }']],
]

export function knownPrompts(language: Language): Prompt[] {
  return KNOWN.map(([id, en, zh]) => {
    const [title, text] = language === 'zh' ? zh : en
    return { id, title, text, own: false }
  })
}

/** Those that match what was typed behind "/": title first, then text. */
export function matching(prompts: readonly Prompt[], typed: string): Prompt[] {
  const wanted = typed.trim().toLowerCase()
  if (wanted === '') return [...prompts]
  const has = (text: string) => text.toLowerCase().includes(wanted)
  return [...prompts.filter(({ title }) => has(title)), ...prompts.filter(({ title, text }) => !has(title) && has(text))]
}

/** What was typed behind a "/" at the beginning; null when the text is no search for a prompt. */
export function slashOf(text: string): string | null {
  const match = /^\/([^\n/]{0,40})$/.exec(text)
  return match ? match[1]! : null
}

/** The user's own, of what was stored; what is unreadable is left out rather than losing the rest. */
export function ownOf(stored: unknown): Prompt[] {
  if (!Array.isArray(stored)) return []
  return stored.flatMap((item: Partial<Prompt> | null) =>
    typeof item?.id === 'string' && typeof item.title === 'string' && typeof item.text === 'string'
      ? [{ id: item.id, title: item.title, text: item.text, own: true }]
      : [],
  )
}

/** A title for a prompt that has none: its first words. */
export function titleOf(text: string): string {
  const line = text.trim().split('\n')[0] ?? ''
  return line.length <= 40 ? line : `${line.slice(0, 39).trimEnd()}…`
}
