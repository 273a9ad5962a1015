import { messages } from './messages'

export default messages({ en: { title: 'Question' }, zh: { title: '提问' } })
