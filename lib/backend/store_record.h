// SPDX-License-Identifier: Apache-2.0
// StoreRecords: the records that this machine keeps of the stores of its LUNs, so that an empty
// disk never takes the place of a known one.
//
// If a file is missing, it may never have existed, or its file system may not be mounted yet. So
// each path that was ever the store of a LUN has a record, one small file in
// /var/lib/ballast/volumes. It holds the path, the LUN, its sizes, and the identity of the store
// (store_identity.h). Only an operator removes a record. Ballast cannot do it when a LUN is
// deleted: its folder in configfs is gone then, but a clean shutdown and a reboot remove that
// folder, too.
//
// A record is whole or absent (lib/base/durable_file.h). These calls block: make them in an errand
// (lib/base/errand.h). Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/backend/store_identity.h"
#include "lib/base/durable_file.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

struct StoreRecord {
  std::string path;  // as the LUN is configured, lexically normal
  std::string lun;   // the backstore's name
  Bytes size;        // the LUN's size
  Bytes reach;       // the largest that it has had on this store
  StoreIdentity identity;
  std::string since;  // when a LUN first had this store, RFC 3339, UTC

  friend bool operator==(const StoreRecord&, const StoreRecord&) = default;
};

class StoreRecords {
 public:
  static constexpr const char* default_folder = "/var/lib/ballast/volumes";

  // `folder`: where the records are. Empty: nothing is remembered.
  explicit StoreRecords(std::string folder) : folder_{std::move(folder)} {}

  bool remembers() const { return !folder_.empty(); }

  // Returns nothing if the path was never the store of a LUN. The error says why that cannot be
  // known: the record cannot be read, is damaged (EINVAL), or belongs to another path (EINVAL).
  Result<std::optional<StoreRecord>> find(const std::string& path) const;
  // Writes a record durably, in place of an older one. Makes the folder if it is missing. Does
  // nothing if a record of this path with a later turn was written.
  Result<void> keep(const StoreRecord& record, std::uint64_t turn = next_turn()) const;

  // Names the file that has the record of `path`. An operator removes it to begin with an empty
  // disk.
  std::string file_of(const std::string& path) const;

 private:
  std::string folder_;
};

// The present time, in the form of `since`.
std::string timestamp();

// `path` without ".", ".." and doubled slashes; symbolic links are not followed.
std::string normal_path(const std::string& path);

}  // namespace ballast::backend
