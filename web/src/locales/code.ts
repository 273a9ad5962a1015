import { messages } from './messages'

export default messages({
  en: {
    title: 'As code',
    intro: 'Exactly the request that was sent. Your key is never part of it: set FLASHWEB_API_KEY where the code runs.',
    files: 'The code reads these files from the folder where it runs:',
    save: 'Save {name}',
    tabs: { curl: 'curl', python: 'Python', javascript: 'JavaScript', fetch: 'JavaScript (fetch)' },
    needs: {
      curl: 'For bash, zsh or any POSIX shell.',
      python: 'Needs: pip install openai',
      javascript: 'Node 18 or newer, as an .mjs file. Needs: npm install openai',
      fetch: 'Node 18 or newer, as an .mjs file. Needs no package.',
      requests: 'Needs: pip install requests',
    },
    failed: 'The code cannot be shown: {reason}',
  },
  zh: {
    title: '查看代码',
    intro: '与实际发送的请求完全一致。代码中不含您的密钥：请在运行环境中设置 FLASHWEB_API_KEY。',
    files: '代码会从运行目录读取这些文件：',
    save: '保存 {name}',
    tabs: { curl: 'curl', python: 'Python', javascript: 'JavaScript', fetch: 'JavaScript（fetch）' },
    needs: {
      curl: '适用于 bash、zsh 等 POSIX shell。',
      python: '需要：pip install openai',
      javascript: 'Node 18 或更高版本，保存为 .mjs 文件。需要：npm install openai',
      fetch: 'Node 18 或更高版本，保存为 .mjs 文件，无需安装任何包。',
      requests: '需要：pip install requests',
    },
    failed: '无法显示代码：{reason}',
  },
})
