import { messages } from './messages'

export default messages({
  en: { title: 'Scenes', lead: 'Questions that a business asks of its pictures again and again' },
  zh: { title: '业务场景', lead: '企业反复向图片提出的问题' },
})
