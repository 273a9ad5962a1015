/** What has been tried against pages that show Markdown. Read by the spec; nothing of it may come alive. */

const HTML = [
  '<script>alert(1)</script>', '<SCRIPT SRC=https://evil.example/x.js></SCRIPT>', '<scr<script>ipt>alert(1)</scr</script>ipt>', '<script\n>alert(1)</script\n>',
  '<img src=x onerror=alert(1)>', '<img src="x" onerror="alert(1)"', '<IMG """><SCRIPT>alert(1)</SCRIPT>">', '<img src=https://evil.example/pixel.gif>', '<img srcset="https://evil.example/x 1x">',
  '<svg onload=alert(1)>', '<svg><script>alert(1)</script></svg>', '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>', '<svg><animate onbegin=alert(1) attributeName=x dur=1s>', '<svg><use href="data:image/svg+xml;base64,PHN2Zz4="/></svg>', '<svg/onload=alert(1)//',
  '<math><maction actiontype="statusline" xlink:href="javascript:alert(1)">x</maction></math>', '<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>', '<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">', '<template><img src=x onerror=alert(1)></template>', '<select><template><style></select><img src=x onerror=alert(1)></style></template></select>', '<xmp><p title="</xmp><img src=x onerror=alert(1)>">',
  '<iframe src="javascript:alert(1)"></iframe>', '<iframe srcdoc="<script>alert(1)</script>"></iframe>', '<object data="javascript:alert(1)">', '<embed src="data:text/html,<script>alert(1)</script>">', '<base href="https://evil.example/">', '<meta http-equiv=refresh content="0;url=javascript:alert(1)">', '<link rel=stylesheet href=https://evil.example/x.css>',
  '<style>@import "https://evil.example/x.css";</style>', '<div style="background:url(https://evil.example/x)">x</div>', '<div style="position:fixed;inset:0">cover</div>', '<form action="https://evil.example"><input name=key><button>Send</button></form>', '<input autofocus onfocus=alert(1)>', '<button formaction="javascript:alert(1)">x</button>', '<details open ontoggle=alert(1)>', '<video><source onerror=alert(1)></video>', '<audio src=x onerror=alert(1)>', '<body onload=alert(1)>', '<marquee onstart=alert(1)>', '<a href="javascript:alert(1)">x</a>', '<p id=app>clobber</p><a name=body>', '<!--<img src="--><img src=x onerror=alert(1)//">', '<![CDATA[<img src=x onerror=alert(1)>]]>', '<?xml-stylesheet href="javascript:alert(1)"?>', '<custom-element onclick=alert(1)>', '&lt;img src=x onerror=alert(1)&gt;', '\u0000<script>alert(1)</script>', '<im\u0000g src=x onerror=alert(1)>',
]

const LINKS = [
  '[x](javascript:alert(1))', '[x](JaVaScRiPt:alert(1))', '[x](java\tscript:alert(1))', '[x](java&#10;script:alert(1))', '[x](&#106;avascript:alert(1))', '[x](&#x6A;avascript&#x3A;alert(1))', '[x](javascript&colon;alert(1))', '[x](\u0001javascript:alert(1))', '[x](<javascript:alert(1)>)', '[x](javascript://example.com/%0aalert(1))', '[x](%6Aavascript:alert(1))',
  '[x](vbscript:msgbox(1))', '[x](data:text/html,<script>alert(1)</script>)', '[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)', '[x](data:image/svg+xml,<svg onload=alert(1)>)', '[x](file:///etc/passwd)', '[x](blob:https://example.com/1)', '[x](filesystem:https://example.com/1)', '[x](//evil.example/x)', '[x](/api/admin/keys)', '[x](#app)', '[x](ws://evil.example)', '[x](intent://x)',
  '[x](https://example.com "\\" onmouseover=\\"alert(1)")', '[x](https://example.com/"onmouseover="alert(1))', "[x](https://example.com 'a\" onclick=\"alert(1)')", '[x" onclick="alert(1)](https://example.com)', '[<img src=x onerror=alert(1)>](https://example.com)', '[x][1]\n\n[1]: javascript:alert(1)', '[x][1]\n\n[1]: https://example.com "\\"><img src=x onerror=alert(1)>"', '[__proto__]: javascript:alert(1)\n\n[__proto__]',
  '<javascript:alert(1)>', '<https://example.com/"onclick="alert(1)>', '<data:text/html,x>', 'https://example.com/"onmouseover="alert(1)', 'https://example.com/<script>alert(1)</script>', 'javascript:alert(1)', 'mailto:a@b.c?subject="><script>alert(1)</script>',
  '![x](javascript:alert(1))', '![x](https://evil.example/pixel.gif)', '![x](data:image/svg+xml;base64,PHN2Zz4=)', '![" onerror="alert(1)](https://example.com/a.png)', '![<script>alert(1)</script>](https://example.com/a.png "\\" onerror=\\"alert(1)")', '[![x](https://evil.example/p.gif)](javascript:alert(1))',
]

const CODE = [
  '```html" onclick="alert(1)\n<b>x</b>\n```', '```<script>alert(1)</script>\nx\n```', "```js'><img src=x onerror=alert(1)>\nx\n```", '```html\n<script>alert(1)</script><img src=x onerror=alert(1)>\n```', '```xml\n</code></pre><img src=x onerror=alert(1)>\n```', '```__proto__\nx\n```', '```constructor\nx\n```', '`<img src=x onerror=alert(1)>`', '~~~svg onload=alert(1)\n<svg onload=alert(1)>\n~~~', '    <script>alert(1)</script>',
]

const FORMULAS = [
  '$\\href{javascript:alert(1)}{x}$', '$$\\href{https://evil.example}{x}$$', '$\\url{javascript:alert(1)}$', '$\\includegraphics[height=1em]{https://evil.example/p.gif}$', '$\\htmlClass{code-copy}{x}$', '$\\htmlId{app}{x}$', '$\\htmlStyle{position:fixed}{x}$', '$\\htmlData{box=b0}{x}$', '$\\text{<img src=x onerror=alert(1)>}$', '$\\unicode{x3c}script$', '$$\\def\\x{\\x\\x}\\x$$', '$$\\newcommand{\\a}{\\href{javascript:alert(1)}{b}}\\a$$', '\\(</span><img src=x onerror=alert(1)>\\)', '\\["><script>alert(1)</script>\\]', '$x" onclick="alert(1)_1$', '$\\color{red;background:url(https://evil.example)}x$', '$\\rule{99999em}{99999em}$',
]

const SHAPES = [
  '| <script>alert(1)</script> | " onclick="alert(1) |\n|---|---|\n| <img src=x onerror=alert(1)> | x |', '- [x] <img src=x onerror=alert(1)>', '# <img src=x onerror=alert(1)> {onclick=alert(1)}', '> <svg onload=alert(1)>', '<|begin_of_box|><img src=x onerror=alert(1)>[1,20,30,40]<|end_of_box|>', '**<img src=x onerror=alert(1)>**',
]

export const VECTORS: readonly string[] = [...HTML, ...LINKS, ...CODE, ...FORMULAS, ...SHAPES]

const ELEMENTS = new Set('a blockquote br button code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr ul'.split(' '))
const ATTRIBUTES = new Set('aria-hidden aria-label class dir href rel role start tabindex target title type data-box data-copy data-coloured data-done data-lang data-math data-number data-set data-tex'.split(' '))

/** What is wrong with the nodes that were made; nothing, if all is well. KaTeX's own nodes may also be MathML and SVG with sizes. */
export function dangersIn(root: Element): string[] {
  return [...root.querySelectorAll('*')].flatMap((element) => {
    const byKatex = element.closest('.katex') !== null
    const name = element.localName
    const problems = byKatex ? (/^(?:script|a|img|image|iframe|use|foreignobject|style|annotation-xml|maction|mglyph)$/i.test(name) ? [name] : []) : ELEMENTS.has(name) ? [] : [name]
    for (const { name: attribute, value } of element.attributes) {
      if (/^on/i.test(attribute)) problems.push(`${name} ${attribute}`)
      if (/^(?:src|srcset|srcdoc|action|formaction|xlink:href|id|name)$/i.test(attribute)) problems.push(`${name} ${attribute}=${value}`)
      if (attribute === 'href' && (byKatex || !/^(?:https?:\/\/|mailto:)/i.test(value))) problems.push(`href ${value}`)
      if (!byKatex && !ATTRIBUTES.has(attribute)) problems.push(`${name} ${attribute}`)
      if (byKatex && attribute === 'style' && /url|expression|position:\s*fixed/i.test(value)) problems.push(`style ${value}`)
    }
    if (name === 'a' && (element.getAttribute('target') !== '_blank' || element.getAttribute('rel') !== 'noopener noreferrer nofollow')) problems.push('a without rel')
    return problems
  })
}
