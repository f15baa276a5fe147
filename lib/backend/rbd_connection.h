// SPDX-License-Identifier: Apache-2.0
// RbdConnection: one open image in Ceph, with a connection to the cluster of its own.
//
// Why one connection for each LUN: the cluster fences a client by its connection. If images shared
// one, losing the lock of one image would fence the others.
//
// Settings. They are set before connecting, so that the operator's ceph.conf cannot change them:
//   no throttles        librados stops the threads of all images of a process at 1024 operations or
//                       100 MiB in flight; the LUN has its own bounds
//   no operation timeout  an operation that timed out would still be carried out later
//   no cache            so an acknowledged write is durable, and nothing is written late
//   one thread of each kind, and no log of its own, whose writing could hang with /var/log
//   an admin socket of our own, for rbd_requests.h; of a connection that only looks, none
// An image's metadata overrides such settings. So the values that hold are read once the image is
// open, and another value is refused (rbd_probe.h).
//
// Nothing that was submitted to librbd can be cancelled, and librados must not be shut down while
// operations are under way: their callbacks would never come, and their threads would stay. So the
// owner destroys a connection only after its last operation has ended.
//
// The process may end while connections are left, because one hangs or is still closing. It waits
// for them as lib/base/guarded_exit.h says.
//
// All calls block, opening and destroying too: make them in an errand (lib/base/errand.h), or on
// the helper thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/backend/rbd_admin_socket.h"
#include "lib/backend/rbd_config.h"
#include "lib/backend/rbd_library.h"
#include "lib/base/guarded_exit.h"
#include "lib/base/result.h"

namespace ballast::backend {

class RbdConnection {
 public:
  // look: the image is opened read-only, as if for a check.
  enum class Purpose : bool { use, look };

  // Connects and opens the image, and decrypts it if the configuration says so. The lock is not
  // taken (rbd_lock.h). The error is one sentence that names the step that failed. Its errno_value
  // is ETIMEDOUT if the cluster did not answer, so that another attempt may succeed.
  static Result<std::unique_ptr<RbdConnection>> open(const RbdConfig& config, Purpose purpose);
  ~RbdConnection();
  RbdConnection(const RbdConnection&) = delete;
  RbdConnection& operator=(const RbdConnection&) = delete;

  const RbdLibrary& library() const { return library_; }
  rados_t cluster() const { return cluster_; }
  rados_ioctx_t pool() const { return pool_; }
  rbd_image_t image() const { return image_; }
  // "rbd=pool/image", for messages.
  const std::string& name() const { return name_; }
  bool is_snapshot() const { return !names_.snapshot.empty(); }
  // The path of its admin socket; empty: it has none.
  std::string admin_socket() const { return socket_.has_value() ? socket_->path() : ""; }

 private:
  RbdConnection(const RbdLibrary& library, const RbdConfig& config, RbdName names)
      : library_{library},
        config_{config},
        names_{std::move(names)},
        name_{"rbd=" + config.image} {}
  Result<void> connect();
  std::string keyrings() const;
  Result<void> set(const char* name, const char* value);
  Result<void> set_up();
  Result<void> enter_pool();
  Result<void> open_image(Purpose purpose);
  Result<void> decrypt();

  const DelaysExit delays_exit_;
  const RbdLibrary& library_;
  const RbdConfig config_;
  const RbdName names_;
  const std::string name_;
  std::optional<RbdAdminSocket> socket_;
  rados_t cluster_ = nullptr;
  rados_ioctx_t pool_ = nullptr;
  rbd_image_t image_ = nullptr;
};

}  // namespace ballast::backend
