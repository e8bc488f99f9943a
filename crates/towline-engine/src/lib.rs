//! The loop, scheduler, upload and download acts and recovery of Towline.
