/**
 * The header `content-disposition` of a download, after RFC 6266, with a plain name for clients
 * that do not read the encoded one.
 *
 * @param downloadName null: the browser may show it in place
 */
export function contentDisposition(downloadName: string | null): string {
  if (downloadName === null) return 'inline'
  const plain = downloadName.replace(/[^\w.\- ]/g, '_')
  const encoded = encodeURIComponent(downloadName).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
