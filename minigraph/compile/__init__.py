"""From graph to program: specialise shapes, fuse, emit instructions, plan memory, link and prove."""
