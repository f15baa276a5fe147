// SPDX-License-Identifier: Apache-2.0
// NbdLibrary: libnbd, loaded when the first LUN names an NBD server, so that a daemon without such
// a LUN runs on machines that do not have the library.
//
// The table has a pointer for each function that Ballast calls. Its types come from libnbd.h, so
// the compiler checks the calls. The names are those of libnbd(3) without "nbd_".
#pragma once

#include <libnbd.h>

#include <memory>

#include "lib/base/result.h"

// X(name) for each function.
#define BALLAST_NBD_FUNCTIONS(X) \
  X(create)                      \
  X(close)                       \
  X(get_error)                   \
  X(get_errno)                   \
  X(set_debug)                   \
  X(set_debug_callback)          \
  X(clear_debug_callback)        \
  X(set_opt_mode)                \
  X(set_export_name)             \
  X(set_tls)                     \
  X(set_tls_psk_file)            \
  X(set_tls_username)            \
  X(add_meta_context)            \
  X(aio_connect_socket)          \
  X(aio_opt_go)                  \
  X(aio_disconnect)              \
  X(connection_state)            \
  X(aio_is_connecting)           \
  X(aio_is_negotiating)          \
  X(aio_is_ready)                \
  X(aio_is_dead)                 \
  X(aio_is_closed)               \
  X(aio_get_fd)                  \
  X(aio_get_direction)           \
  X(aio_notify_read)             \
  X(aio_notify_write)            \
  X(aio_pread)                   \
  X(aio_pwrite)                  \
  X(aio_zero)                    \
  X(aio_trim)                    \
  X(aio_flush)                   \
  X(aio_block_status)            \
  X(get_size)                    \
  X(get_block_size)              \
  X(is_read_only)                \
  X(can_flush)                   \
  X(can_fua)                     \
  X(can_zero)                    \
  X(can_trim)                    \
  X(can_multi_conn)              \
  X(can_meta_context)

namespace ballast::backend {

struct NbdLibrary {
#define BALLAST_NBD_POINTER(name) decltype(&::nbd_##name) name = nullptr;
  BALLAST_NBD_FUNCTIONS(BALLAST_NBD_POINTER)
#undef BALLAST_NBD_POINTER
};

// Loads the library on the first call. It stays loaded. Loading reads files, so it may hang: call
// this in an errand (lib/base/errand.h). If it fails, the sentence names the package to install,
// and the next call tries again. Any thread.
Result<const NbdLibrary*> nbd_library();

// The library, once nbd_library() has returned it.
const NbdLibrary& nbd();

// The text of this thread's last error, without the name of the function that we called.
const char* nbd_error_text();

struct NbdClose {
  void operator()(nbd_handle* handle) const noexcept { nbd().close(handle); }
};
// One connection of libnbd. Closing it never blocks and calls no completion callback. One thread at
// a time uses it.
using NbdHandle = std::unique_ptr<nbd_handle, NbdClose>;

}  // namespace ballast::backend
