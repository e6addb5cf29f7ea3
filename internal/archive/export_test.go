package archive

// Unfinished begins the names of archives that are being written.
const Unfinished = unfinished
