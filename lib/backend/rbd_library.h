// SPDX-License-Identifier: Apache-2.0
// RbdLibrary: the functions of librbd and librados that Ballast calls. They are loaded when the
// first LUN names an image, so a daemon that serves files needs neither library.
//
// The functions keep the libraries' names and types (rbd/librbd.h, rados/librados.h).
#pragma once

#include <rados/librados.h>
#include <rbd/librbd.h>

#include "lib/base/result.h"

namespace ballast::backend {

// clang-format off
#define BALLAST_RADOS_FUNCTIONS(use) \
  use(rados_create) use(rados_conf_read_file) use(rados_conf_set) use(rados_conf_get) use(rados_connect) \
  use(rados_shutdown) use(rados_ioctx_create) use(rados_ioctx_destroy) \
  use(rados_ioctx_set_namespace) use(rados_set_pool_full_try) use(rados_blocklist_add) \
  use(rados_exec)

#define BALLAST_RBD_FUNCTIONS(use) \
  use(rbd_open) use(rbd_open_read_only) use(rbd_close) use(rbd_stat) use(rbd_get_size) \
  use(rbd_get_features) use(rbd_namespace_exists) use(rbd_snap_set) use(rbd_encryption_load) \
  use(rbd_config_image_list) use(rbd_config_image_list_cleanup) \
  use(rbd_resize) use(rbd_diff_iterate2) use(rbd_update_watch) use(rbd_update_unwatch) \
  use(rbd_lock_acquire) use(rbd_lock_break) \
  use(rbd_lock_get_owners) use(rbd_lock_get_owners_cleanup) \
  use(rbd_watchers_list) use(rbd_watchers_list_cleanup) \
  use(rbd_metadata_get) use(rbd_get_id) \
  use(rbd_aio_create_completion) use(rbd_aio_get_return_value) use(rbd_aio_release) \
  use(rbd_aio_read) use(rbd_aio_readv) use(rbd_aio_write) use(rbd_aio_writev) \
  use(rbd_aio_write_zeroes) use(rbd_aio_flush)
// clang-format on

struct RbdLibrary {
#define BALLAST_DECLARE(function) decltype(&::function) function = nullptr;
  BALLAST_RADOS_FUNCTIONS(BALLAST_DECLARE)
  BALLAST_RBD_FUNCTIONS(BALLAST_DECLARE)
#undef BALLAST_DECLARE
};

// Loads the libraries, unless that was done. They stay until the process ends. The error (ENOENT)
// says which package is missing. Reads files, so it may hang with their file system.
Result<const RbdLibrary*> rbd_library();

}  // namespace ballast::backend
