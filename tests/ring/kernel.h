// SPDX-License-Identifier: Apache-2.0
// Faults between the plugin and the kernel's io_uring. This program puts itself before
// io_uring_submit and io_uring_peek_batch_cqe, which the plugin calls.
//
// Submissions can sleep, as they do when the disk's queue has no tag or a file system is frozen.
// Operations of one kind can hang at the store: nothing ends them, and after a request to cancel
// they go on. Operations can also end with any errno. A rule counts for operations that are
// submitted while it stands. Any thread may call these functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ballast::ring_test::kernel {

enum class What : std::uint8_t { read, write, sync, allocate };

// From now on every thread that submits sleeps, until release().
void hang_submissions();
// From now on operations of this kind hang, until release(). Then they begin anew.
void hang(What what);
// From now on operations of this kind end with `errno_value`, and nothing is done.
void fail(What what, int errno_value);
// Removes all rules; all that hangs goes on.
void release();
// The same, but an operation that hangs ends with `errno_value`.
void release_failing(int errno_value);

// The names of the threads that slept in a submission, since the last call.
std::vector<std::string> take_sleepers();
// The number of operations that hang now.
std::size_t hanging();
// How often cancelling was requested for an operation that hangs, since the last call.
std::size_t take_cancels();

}  // namespace ballast::ring_test::kernel
