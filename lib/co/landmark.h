// SPDX-License-Identifier: Apache-2.0
// Landmark: names an object that belongs to an executor, for whoever reads a core file. From the
// executor one finds its landmarks, and from a landmark what its anatomy says. So lib/co need not
// know what stands on an executor.
//
// A member of the object, which it names for as long as it lives. Any thread may make and destroy
// it.
#pragma once

#include "lib/base/anatomy.h"

namespace ballast::co {

class Executor;

class Landmark {
 public:
  // `executor` outlives it.
  Landmark(Executor& executor, const anatomy::Type& type, const void* object);
  ~Landmark();
  Landmark(const Landmark&) = delete;
  Landmark& operator=(const Landmark&) = delete;

 private:
  friend struct Anatomy;
  const anatomy::Type* type_;
  const void* object_;
  Landmark* next_ = nullptr;
  Landmark** link_ = nullptr;
};

}  // namespace ballast::co
