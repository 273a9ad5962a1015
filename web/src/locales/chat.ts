import { messages } from './messages'

export default messages({
  en: { title: 'Chat' },
  zh: { title: '对话' },
})
