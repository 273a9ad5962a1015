/**
 * Which picture a box lies on, as the server has it (output/boxes.py): in JSON the one that its object names, or an object
 * around that; in a text the one named last before the box; where none is named, or one that is not there, the first.
 */
import { objectsAround, type JsonObject } from './json'

const ORDINALS = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth']
const HAN = '一二三四五六七八九十'
const COUNTED = '(?:[张幅]|个?(?:图|照片))' // 第2张; what else is counted so, questions and lines, is no picture
const NAMED = new RegExp(
  String.raw`\b(?:picture|image|photo)s?\s*(?:#|no\.?\s*)?([1-9]\d?)(?!\d)` +
    String.raw`|图(?:片|像)?\s*([1-9]\d?)(?!\d)|第\s*([1-9]\d?)\s*${COUNTED}|第([${HAN}])${COUNTED}|图([${HAN}])(?![\p{L}])` +
    String.raw`|\b(${ORDINALS.join('|')})\s+(?:picture|image|photo)\b`,
  'giu',
)
const JSON_BEGIN = /^\s*(?:```(?:json)?\s*)?[[{]/

/** For the boxes of one text, asked in their order. */
export function pictureTeller(text: string, count: number): (boxStart: number) => number {
  if (count < 2) return () => 0
  const known = (named: number | undefined) => (named !== undefined && named <= count ? named - 1 : 0)
  if (JSON_BEGIN.test(text) && text.includes('{')) return (start) => known(namedByObjects(objectsAround(text, start)))
  const names = text.matchAll(NAMED)
  let next = names.next()
  let named: number | undefined
  return (start) => {
    while (!next.done && next.value.index < start) {
      named = numberOf(next.value)
      next = names.next()
    }
    return known(named)
  }
}

function namedByObjects(objects: Iterable<JsonObject>): number | undefined {
  for (const { text } of objects) {
    let named: number | undefined
    for (const [, key, number, words] of text.matchAll(/"([^"\n]{0,60})"\s*:\s*(?:([1-9]\d?)(?![\d.])|"((?:[^"\\]|\\.)*)")/g)) {
      if (number) named = /^(?:image|picture|photo|图|图片)$/i.test(key as string) ? Number(number) : named
      else named = firstName(words ?? '') ?? named
    }
    if (named !== undefined) return named
  }
  return undefined
}

function firstName(words: string): number | undefined {
  const match = words.matchAll(NAMED).next()
  return match.done ? undefined : numberOf(match.value)
}

function numberOf([, a, b, c, han, alone, ordinal]: RegExpMatchArray): number {
  const digits = a ?? b ?? c
  if (digits) return Number(digits)
  const sign = han ?? alone
  return sign ? HAN.indexOf(sign) + 1 : ORDINALS.indexOf((ordinal as string).toLowerCase()) + 1
}
