/** What the file picker offers; extensions too, for systems that know no MIME type of HEIC, AVIF or Matroska. */
export const ACCEPT = 'image/*,.heic,.heif,.avif,application/pdf,.pdf,video/mp4,video/webm,video/quicktime,.mov,.mkv,.avi'
