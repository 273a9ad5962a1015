import { messages } from './messages'

export default messages({
  en: {
    copy: 'Copy',
    copied: 'Copied',
    copyFailed: 'Copying was refused',
    code: 'code',
    table: 'Table',
    done: 'done',
    open: 'open',
    showBox: 'Show box {number} in the picture',
    showNamedBox: 'Show box {number}, {label}, in the picture',
  },
  zh: {
    copy: '复制',
    copied: '已复制',
    copyFailed: '无法复制',
    code: '代码',
    table: '表格',
    done: '已完成',
    open: '未完成',
    showBox: '在图中显示方框 {number}',
    showNamedBox: '在图中显示方框 {number}：{label}',
  },
})
