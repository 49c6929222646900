/** Channels of LISTEN and NOTIFY. They belong to the database, not to the schema. */
export const eventChannel = 'weir_events'
export const announcementChannel = 'weir_announcements'
export const signalChannelPrefix = 'weir_signal_'
