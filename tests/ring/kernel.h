// SPDX-License-Identifier: Apache-2.0
// Faults between the plugin and the kernel's io_uring: this program puts itself before
// io_uring_submit and io_uring_peek_batch_cqe, which the plugin calls.
//
// Submissions can sleep, as they do when the disk's queue has no tag or a file system is frozen;
// operations of one kind can hang at the store, so that nothing ends them (asked to cancel they go
// on); and they can end with any errno. Rules count for what is submitted while they stand.
// Functions: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ballast::ring_test::kernel {

enum class What : std::uint8_t { read, write, sync, allocate };

// Every thread that submits from now on sleeps until release().
void hang_submissions();
// Operations of this kind hang from now on, until release(). Then they are begun anew.
void hang(What what);
// Operations of this kind end with `errno_value` from now on, and nothing is done.
void fail(What what, int errno_value);
// No rule any more; all that hangs goes on.
void release();
// The same, but what hangs ends with `errno_value`.
void release_failing(int errno_value);

// The names of the threads that slept in a submission, since the last call.
std::vector<std::string> take_sleepers();
// Operations that hang now.
std::size_t hanging();
// How often the end of one that hangs was asked for, since the last call.
std::size_t take_cancels();

}  // namespace ballast::ring_test::kernel
