/** What the file picker offers; extensions too, for systems that know no MIME type of HEIC, AVIF or Matroska. */
const PICTURES = 'image/*,.heic,.heif,.avif'

export const ACCEPT = {
  pictures: PICTURES,
  all: `${PICTURES},application/pdf,.pdf,video/mp4,video/webm,video/quicktime,.mov,.mkv,.avi`,
} as const
