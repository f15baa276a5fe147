// SPDX-License-Identifier: Apache-2.0
// Starts a thread that runs as long as the process, and that takes no signals: these are the
// daemon's.
#pragma once

namespace ballast {

// `entry` gets `self`. Returns false if there is no room for a thread.
bool start_detached(void* (*entry)(void*), void* self) noexcept;

}  // namespace ballast
